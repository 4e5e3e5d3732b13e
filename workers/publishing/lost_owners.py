"""Find owners that Redis lost, and let a repeat publish in their place.

Only the entry that owns a response publishes its events. A failover may lose that entry, although
the response is in the log: its repeats would only be acknowledged, and its events never come. An
owner that was trimmed is missing as well, so that alone proves nothing. Two things together do: the
owner lies where a server lost writes (`history.lua`), and none of its events is in the stream,
which still has all events from then on. The owner's events are published in one step with its
acknowledgement, which is before it can be trimmed.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import structlog
from redis.asyncio import Redis

from contracts.streams import EVENT_FIELD, MASTERY, RESPONSES
from workers.common.errors import StreamRefused, Unavailable
from workers.common.text import text_of
from workers.publishing.mastery_events import mastery_events
from workers.publishing.settled import Settled
from workers.streams.entry_ids import entered_ms, order
from workers.streams.redis_clock import BOUND_S
from workers.streams.redis_errors import redis_errors

_log = structlog.get_logger(__name__)

_HISTORY, _SUCCEED = (
    (Path(__file__).parent / f"{name}.lua").read_text() for name in ("history", "succeed")
)
_EVERY_S: Final = 1.0
"""Time between two notes: what lies between the last one and a failover is looked at."""
_PAGE: Final = 1_000
_MOST_IDS: Final = 200_000
_FIELD: Final = EVENT_FIELD.encode()


def history_key(responses: str) -> str:
    """Return the key of the notes about the servers of a stream of responses, in its slot."""
    return f"{responses}:history"


def successors_key(responses: str) -> str:
    """Return the key of the hash from a lost owner to the entry that publishes in its place."""
    return f"{responses}:successors"


class _Loss(NamedTuple):
    """Entries that a server may have lost: those behind `response`, up to a time."""

    response: str
    event: str
    until_ms: int

    def may_have(self, entry_id: str) -> bool:
        """Return True if an entry may be among the lost ones."""
        return order(entry_id) > order(self.response) and entered_ms(entry_id) <= self.until_ms


class _Suspect(NamedTuple):
    """A repeat whose owner may be lost."""

    settled: Settled
    owner: str
    loss: _Loss

    def event_ids(self) -> set[str]:
        """Return the ids of the events that the owner publishes."""
        admitted, repeated = self.settled.admitted, self.settled.repeated
        if admitted is None or repeated is None:
            return set()
        return {_id_of(event) for event in mastery_events(admitted, repeated)}


class _Events:
    """Ids of the events of a stream behind a position; reads each event once.

    The next loss makes them stale: events that were read may be among what it took.
    """

    def __init__(self, client: Redis, stream: str, after: str, losses: Sequence[_Loss]) -> None:
        self._client = client
        self._stream = stream
        self.after = after
        self.losses = frozenset(losses)
        self._read_to = after
        self._ids: set[str] = set()

    @property
    def full(self) -> bool:
        """True if it holds so many ids that it should begin anew."""
        return len(self._ids) > _MOST_IDS

    async def read(self) -> set[str]:
        """Return the ids of all events up to now."""
        while True:
            with redis_errors():
                rows: Any = await self._client.xrange(
                    self._stream, min=f"({self._read_to}", count=_PAGE
                )
            for entry_id, fields in rows:
                self._read_to = text_of(entry_id)
                self._ids.add(_id_of(fields.get(_FIELD, b"")))
            if len(rows) < _PAGE:
                return self._ids
            await asyncio.sleep(0)

    async def whole(self) -> bool:
        """Return True unless events behind the position may have been trimmed."""
        with redis_errors():
            if not await self._client.exists(self._stream):
                return self.after == "0-0"
            info: Any = await self._client.xinfo_stream(self._stream)
        if info.get("entries-added") == info["length"]:
            return True
        first = info["first-entry"]
        return bool(first) and order(text_of(first[0])) <= order(self.after)


class LostOwners:
    """Lets repeats publish in the place of owners that Redis lost.

    Args:
        client: a connection to the Redis of the streams.
        kept_s: how long a loss is remembered, seconds: the longest time after which a response is
            published again.
    """

    def __init__(self, client: Redis, kept_s: float) -> None:
        self._client = client
        self._kept_ms = int(kept_s * 1000)
        self._history = client.register_script(_HISTORY)
        self._succeed = client.register_script(_SUCCEED)
        self._events: dict[str, _Events] = {}

    async def run(self, reading: Callable[[], Iterable[str]]) -> None:
        """Note the servers of streams again and again, until cancelled.

        Args:
            reading: returns the streams of responses that this worker reads.
        """
        while True:
            for stream in list(reading()):
                try:
                    await self.losses(stream)
                except (Unavailable, StreamRefused) as error:
                    _log.debug("history_waits", stream=stream, reason=str(error))
            await asyncio.sleep(_EVERY_S)

    async def losses(self, stream: str) -> list[_Loss]:
        """Note the server of a stream of responses; return what servers before it may have lost.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: permission is missing, or a key is not what it must be.
        """
        mastery = MASTERY + stream.removeprefix(RESPONSES)
        with redis_errors():
            rows: Any = await self._history(
                keys=[history_key(stream), stream, mastery],
                args=[int(BOUND_S * 1000), self._kept_ms],
            )
        return [
            _Loss(text_of(response), text_of(event), int(until_ms))
            for response, event, until_ms in rows
        ]

    async def replace(self, stream: str, settled: Sequence[Settled]) -> None:
        """Make owners of the repeats whose owner was lost; the entries are changed in place.

        Args:
            stream: the stream of responses that the entries come from.
            settled: entries of a batch.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: permission is missing, or a key is not what it must be.
        """
        repeats = [(entry, owner) for entry in settled if (owner := _other_owner(stream, entry))]
        if not repeats:
            return
        losses = await self.losses(stream)
        suspects = [
            _Suspect(entry, owner, loss)
            for entry, owner in repeats
            if (loss := next((loss for loss in losses if loss.may_have(owner)), None))
        ]
        if suspects:
            await self._replace(stream, await self._missing(stream, suspects), losses)

    async def _missing(self, stream: str, suspects: list["_Suspect"]) -> list["_Suspect"]:
        """Return those whose owner is not in the stream; it would publish by itself."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for suspect in suspects:
                pipeline.xrange(stream, suspect.owner, suspect.owner)
            with redis_errors():
                rows = await pipeline.execute()
        return [suspect for suspect, row in zip(suspects, rows, strict=True) if not row]

    async def _replace(
        self, stream: str, suspects: list["_Suspect"], losses: Sequence[_Loss]
    ) -> None:
        """Let the first repeat of each owner publish, unless the owner's events are there."""
        for suspect in suspects:
            events = self._events_after(stream, suspect.loss.event, losses)
            if suspect.event_ids() & await events.read():
                continue
            if not await events.whole():
                _log.warning(
                    "owner_unknown",
                    stream=stream,
                    owner=suspect.owner,
                    reason="its events may be trimmed",
                )
                continue
            entry_id = suspect.settled.entry.entry_id
            with redis_errors():
                succeeds = await self._succeed(
                    keys=[stream, successors_key(stream)],
                    args=[suspect.owner, entry_id, self._kept_ms],
                )
            if succeeds:
                _log.info("owner_replaced", stream=stream, owner=suspect.owner, by=entry_id)
                suspect.settled.recorded = suspect.settled.repeated

    def _events_after(self, stream: str, after: str, losses: Sequence[_Loss]) -> _Events:
        known = self._events.get(stream)
        if (
            known is None
            or known.full
            or known.losses != frozenset(losses)
            or order(known.after) > order(after)
        ):
            mastery = MASTERY + stream.removeprefix(RESPONSES)
            known = self._events[stream] = _Events(self._client, mastery, after, losses)
        return known


def _other_owner(stream: str, entry: Settled) -> str | None:
    """Return the id of the owner of a repeat, if it came by the same stream."""
    if entry.repeated is None:
        return None
    source, _, owner = entry.repeated.entry.rpartition("/")
    return owner if source == stream else None


def _id_of(event: bytes) -> str:
    try:
        return str(orjson.loads(event)["id"])
    except (ValueError, KeyError, TypeError):
        return ""  # not an event of ours
