"""Taking over entries that were delivered and never acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from redis.asyncio import Redis

from workers.errors import StreamRefused, Unavailable
from workers.intake.redis_errors import group_is_missing, redis_errors

_log = structlog.get_logger(__name__)

_LONGEST_PAUSE_S: Final = 5.0

Entries = list[tuple[bytes, dict[bytes, bytes]]]
Feed = Callable[[Entries], Awaitable[None]]


class Reclaimer:
    """Feeds a subscriber what is pending and nobody works on.

    Args:
        client: a connection to Redis.
        stream: the stream.
        group: its consumer group.
        consumer: the name of this worker in the group.
        idle_ms: an entry pending for longer is claimed, milliseconds.
        batch_size: the most entries taken at once.
        held: whether this worker has the entry on its way: claiming it again would be our own.
        feed: takes a batch of entries; returns when there is room for the next.
    """

    def __init__(
        self,
        *,
        client: Redis,
        stream: str,
        group: str,
        consumer: str,
        idle_ms: int,
        batch_size: int,
        held: Callable[[str], bool],
        feed: Feed,
    ) -> None:
        self._client = client
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._idle_ms = idle_ms
        self._batch_size = batch_size
        self._held = held
        self._feed = feed

    async def inherit(self, until: str) -> int:
        """Take what a predecessor of the same name left; returns the number of entries.

        Args:
            until: the id last delivered before we began: later entries are our own.
        """
        taken = 0
        after: bytes | str = "0"
        while True:
            with redis_errors():
                answer: Any = await self._client.xreadgroup(
                    self._group, self._consumer, {self._stream: after}, count=self._batch_size
                )
            entries = [e for e in _of_one_stream(answer) if _order(e[0]) <= _order(until)]
            if not entries:
                return taken
            after = entries[-1][0]
            taken += await self._take(entries)

    async def claim(self) -> int:
        """Claim all that is idle for too long, once; returns the number of entries."""
        taken = 0
        cursor: bytes | str = "0-0"
        while True:
            with redis_errors():
                answer: Any = await self._client.xautoclaim(
                    self._stream,
                    self._group,
                    self._consumer,
                    min_idle_time=self._idle_ms,
                    start_id=cursor,
                    count=self._batch_size,
                )
            cursor = answer[0]
            taken += await self._take(answer[1])
            if cursor in (b"0-0", "0-0"):
                return taken

    async def run(self) -> None:
        """Claim again and again, until cancelled."""
        pause_s = min(self._idle_ms / 2000, _LONGEST_PAUSE_S)
        while True:
            await asyncio.sleep(pause_s)
            try:
                taken = await self.claim()
            except Unavailable:
                continue  # the subscriber reports it and waits; so do we
            except StreamRefused as error:
                if not group_is_missing(error):
                    raise
                continue  # the watchdog makes the group again
            if taken:
                _log.info("entries_claimed", stream=self._stream, entries=taken)

    async def _take(self, entries: Entries) -> int:
        # Deleted while it was pending: Redis before 7 would name it for ever.
        gone = [e[0] for e in entries if e[0] is not None and not e[1]]
        if gone:
            with redis_errors():
                await self._client.xack(self._stream, self._group, *gone)
        mine = [e for e in entries if e[1] and not self._held(e[0].decode())]
        if mine:
            await self._feed(mine)
        return len(mine)


def _order(entry_id: bytes | str) -> tuple[int, ...]:
    text = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    return tuple(map(int, text.split("-")))


def _of_one_stream(answer: Any) -> Entries:
    if not answer:
        return []
    # RESP2 answers with pairs, RESP3 with a mapping and one list more.
    found: Any = next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]
    entries: Entries = found[0] if found and isinstance(found[0], list) else found
    return entries
