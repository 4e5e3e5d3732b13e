"""Reads one stream as one consumer of a group, until it is told to stop."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, Generic

from redis.exceptions import ResponseError

from contracts.client.actions import (
    LIBRARY_ERRORS,
    Action,
    Actions,
    Ask,
    Disturbed,
    Handle,
    Judge,
    Pause,
    group_is_gone,
    passes,
)
from contracts.client.delivery import Delivery, Failure, read_event
from contracts.client.replies import Entry, entries, entries_by_stream, text
from contracts.client.routing import Event

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class GroupReading(Generic[Event]):
    """How to read.

    Args:
        event: the type of the stream's events.
        group: the group.
        consumer: this consumer's name in it.
        claim_after_s: age from which a pending entry is claimed, seconds.
        batch_size: entries read at once.
        longest_wait_s: longest wait for new entries, seconds.
        stopped: returns True once the reader must end.
    """

    event: type[Event]
    group: str
    consumer: str
    claim_after_s: float
    batch_size: int
    longest_wait_s: float
    stopped: Callable[[], bool]


class GroupReader(Generic[Event]):
    """Reads what this consumer left, then what is new, and now and then what others left.

    Args:
        stream: the stream.
        start_at: where a new group begins.
        reading: how to read.
    """

    def __init__(self, stream: str, start_at: str, reading: GroupReading[Event]) -> None:
        self._stream = stream
        self._reading = reading
        self._begin_again_at = "0" if start_at == "$" else start_at
        self._start_at: str | None = start_at
        self._own_after: str | None = "0"
        """Id after which to read on among its own entries; None if there are none left."""
        self._next_claim = 0.0
        self._claim_from = "0-0"

    def actions(self) -> Actions:
        """Yield the steps until the stop; the event being handled then is handled to its end.

        Raises:
            RedisError: Redis refuses what no waiting will change.
            Exception: what the judge of a failure raises.
        """
        pause_s = _FIRST_PAUSE_S
        while not self._reading.stopped():
            try:
                yield from self._turn()
                pause_s = _FIRST_PAUSE_S
            except _Raised as raised:
                raise raised.error from None
            except LIBRARY_ERRORS as error:
                if group_is_gone(error):
                    # Pending entries are forgotten with the group: rather twice than never.
                    self._start_at = self._begin_again_at
                elif not passes(error):
                    raise
                # Entries of an answer that was lost on its way are pending here.
                self._own_after = "0"
                yield Disturbed(error, self._stream)
                yield Pause(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _turn(self) -> Actions:
        reading, stream = self._reading, self._stream
        if self._start_at is not None:
            yield from self._create_group(self._start_at)
            self._start_at = None
            self._own_after = "0"
        group = (reading.group, reading.consumer)
        if self._own_after is not None:
            own = {stream: self._own_after}
            reply = yield Ask(lambda r: r.xreadgroup(*group, own, count=reading.batch_size))
            batch = entries_by_stream(reply).get(stream, [])
            self._own_after = batch[-1].id if batch else None
            yield from self._handle_all(batch)
            return
        now = time.monotonic()
        if now >= self._next_claim:
            idle_ms = int(1000 * reading.claim_after_s)
            claim: tuple[Any, ...] = (stream, *group, idle_ms, self._claim_from)
            reply = yield Ask(lambda r: r.xautoclaim(*claim, count=reading.batch_size))
            self._claim_from = text(reply[0])
            if self._claim_from == "0-0":
                self._next_claim = now + reading.claim_after_s / 2
            yield from self._handle_all(entries(reply[1]))
            return
        wait_ms = max(1, int(1000 * min(reading.longest_wait_s, self._next_claim - now)))
        new = {stream: ">"}
        reply = yield Ask(
            lambda r: r.xreadgroup(*group, new, count=reading.batch_size, block=wait_ms),
            waits=True,
        )
        yield from self._handle_all(entries_by_stream(reply).get(stream, []))

    def _create_group(self, start_at: str) -> Actions:
        created = (self._stream, self._reading.group, start_at)
        try:
            yield Ask(lambda r: r.xgroup_create(*created, mkstream=True))
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _handle_all(self, batch: list[Entry]) -> Actions:
        began = time.monotonic()
        last: str | None = None
        for entry in batch:
            if self._reading.stopped():
                return
            if last is not None and time.monotonic() - began > self._reading.claim_after_s / 2:
                # The rest may soon be another's: read again what is still this consumer's.
                self._own_after = last
                return
            yield from self._handle(entry)
            last = entry.id

    def _handle(self, entry: Entry) -> Actions:
        acknowledge = Ask(lambda r: r.xack(self._stream, self._reading.group, entry.id))
        if entry.gone:
            yield acknowledge
            return
        event: Event | None = None
        delivery = Delivery(self._stream, entry.id)
        try:
            event = read_event(entry.text, self._reading.event)
            yield Handle(event, delivery)
        except Exception as error:  # noqa: BLE001  # a handler may raise anything
            deliveries = yield from self._deliveries(entry.id)
            try:
                verdict = yield Judge(Failure(delivery, error, event, deliveries))
            except Exception as raised:  # noqa: BLE001  # and so may the judge
                raise _Raised(raised) from None
            if verdict == "retry":
                return
        yield acknowledge

    def _deliveries(self, entry_id: str) -> Generator[Action, Any, int]:
        pending = (self._stream, self._reading.group, entry_id, entry_id, 1)
        reply = yield Ask(lambda r: r.xpending_range(*pending))
        return int(reply[0]["times_delivered"]) if reply else 1


class _Raised(Exception):
    """Error that the judge of a failure raised: no trouble of Redis, whatever its type."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
