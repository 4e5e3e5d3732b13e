"""Reads streams from known positions on, without a group; the reader keeps its own position."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic

from redis.exceptions import ResponseError

from contracts.client.actions import (
    LIBRARY_ERRORS,
    Ask,
    Disturbed,
    FollowAction,
    FollowActions,
    Handle,
    Pause,
    passes,
)
from contracts.client.delivery import Delivery, read_event
from contracts.client.replies import Entry, entries_by_stream, position, text
from contracts.client.routing import Event

BEGINNING: Final = "0-0"
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0


class PositionLostError(LookupError):
    """Entries after a position were trimmed: take a new snapshot and follow from its positions.

    Args:
        stream: the stream.
        position: the position that the reader had.
    """

    def __init__(self, stream: str, position: str) -> None:
        super().__init__(
            f"{stream} has lost entries after {position}: take a new snapshot and begin at its "
            "positions"
        )
        self.stream = stream
        self.position = position


@dataclass(frozen=True, slots=True)
class FollowReading(Generic[Event]):
    """How to follow.

    Args:
        event: the type of the stream's events.
        batch_size: entries read at once.
        longest_wait_s: longest wait for new entries, seconds.
        stopped: returns True once the reader must end.
    """

    event: type[Event]
    batch_size: int
    longest_wait_s: float
    stopped: Callable[[], bool]


class Follower(Generic[Event]):
    """Reads streams after positions.

    Args:
        positions: id of the last entry that is known, by stream.
        reading: how to follow.
    """

    def __init__(self, positions: Mapping[str, str], reading: FollowReading[Event]) -> None:
        self._positions = dict(positions)
        self._reading = reading

    def actions(self) -> FollowActions:
        """Yield the steps until the stop.

        Raises:
            PositionLostError: entries after a position were trimmed.
            UnreadableEventError: an entry is not an event of the type.
            RedisError: Redis refuses what no waiting will change.
        """
        pause_s = _FIRST_PAUSE_S
        while not self._reading.stopped():
            try:
                batch = yield from self._read()
                pause_s = _FIRST_PAUSE_S
            except LIBRARY_ERRORS as error:
                if not passes(error):
                    raise
                yield Disturbed(error, ", ".join(self._positions))
                yield Pause(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            for stream, entries in batch.items():
                for entry in entries:
                    if self._reading.stopped():
                        return
                    event = read_event(entry.text, self._reading.event)
                    # Before the event is handed out: who asks for the next one has taken it.
                    self._positions[stream] = entry.id
                    yield Handle(event, Delivery(stream, entry.id))

    def _read(self) -> Generator[FollowAction, Any, dict[str, list[Entry]]]:
        after, count = dict(self._positions), self._reading.batch_size
        behind = set()
        for stream, entry_id in after.items():
            information = yield from _information(stream)
            if position(newest_id(information)) > position(entry_id):
                behind.add(stream)
        wait_ms = max(1, int(1000 * self._reading.longest_wait_s))
        reply = yield Ask(lambda r: r.xread(after, count=count, block=wait_ms), waits=True)
        batch = entries_by_stream(reply)
        for stream in behind & batch.keys():
            # After the read: what was trimmed before it is known by now.
            information = yield from _information(stream)
            if _may_lack(information, after[stream]):
                raise PositionLostError(stream, after[stream])
        return batch


def _information(stream: str) -> Generator[Ask, Any, Mapping[str, Any]]:
    """Ask for the state of a stream, which may not exist yet."""
    try:
        information: Mapping[str, Any] = yield ask_information(stream)
    except ResponseError as error:
        if not is_missing(error):
            raise
        return {"last-generated-id": BEGINNING}
    return information


def _may_lack(information: Mapping[str, Any], entry_id: str) -> bool:
    """Return True unless all entries after a position are surely there.

    Streams are trimmed from the front. So they are if the first entry is not after the position, or
    if nothing was ever trimmed.
    """
    first, added = information.get("first-entry"), information.get("entries-added")
    if added is None or added == information["length"]:  # not told before Redis 7
        return False
    return not first or position(text(first[0])) > position(entry_id)


def ask_information(stream: str) -> Ask:
    """Return the question for the state of a stream."""
    return Ask(lambda r: r.xinfo_stream(stream))


def newest_id(information: Mapping[str, Any]) -> str:
    """Return the id of a stream's newest entry, trimmed or not."""
    return text(information["last-generated-id"])


def is_missing(error: ResponseError) -> bool:
    """Return True if a stream does not exist: nothing was published yet."""
    return "no such key" in str(error)
