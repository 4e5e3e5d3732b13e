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

_SCRIPT: Final = (Path(__file__).parent / "history.lua").read_text()
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


class _Events:
    """Ids of the events of a stream behind a position; reads each event once."""

    def __init__(self, client: Redis, stream: str, after: str) -> None:
        self._client = client
        self._stream = stream
        self.after = after
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
        self._history = client.register_script(_SCRIPT)
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
        missing = {
            owner: loss
            for _, owner in repeats
            for loss in losses
            if loss.may_have(owner) and not await self._exists(stream, owner)
        }
        for entry, owner in repeats:
            if owner in missing and await self._succeeds(stream, entry, owner, missing[owner]):
                entry.recorded = entry.repeated

    async def _exists(self, stream: str, entry_id: str) -> bool:
        with redis_errors():
            return bool(await self._client.xrange(stream, entry_id, entry_id))

    async def _succeeds(self, stream: str, entry: Settled, owner: str, loss: _Loss) -> bool:
        """Return True if an entry has to publish in the place of an owner."""
        if entry.admitted is None or entry.repeated is None:
            return False
        ids = {_id_of(event) for event in mastery_events(entry.admitted, entry.repeated)}
        key = successors_key(stream)
        with redis_errors():
            successor: Any = await self._client.hget(key, owner)
        if successor is not None:
            return text_of(successor) == entry.entry.entry_id
        events = self._events_after(stream, loss.event)
        if ids & await events.read():
            return False
        if not await events.whole():
            _log.warning(
                "owner_unknown", stream=stream, owner=owner, reason="its events may be trimmed"
            )
            return False
        with redis_errors():
            first = await self._client.hsetnx(key, owner, entry.entry.entry_id)
            await self._client.pexpire(key, self._kept_ms)
        if first:
            _log.info("owner_replaced", stream=stream, owner=owner, by=entry.entry.entry_id)
            return True
        return await self._succeeds(stream, entry, owner, loss)

    def _events_after(self, stream: str, after: str) -> _Events:
        known = self._events.get(stream)
        if known is None or known.full or order(known.after) > order(after):
            mastery = MASTERY + stream.removeprefix(RESPONSES)
            known = self._events[stream] = _Events(self._client, mastery, after)
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
