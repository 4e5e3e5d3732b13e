"""Taking over entries that were delivered and never acknowledged.

What is delivered again may be what brought a process down, so its company shrinks: the whole batch
once more, for a killed worker is more likely than a bad entry; then a few; then nothing at all.
Deliveries decide in what company an entry is tried, and nothing else: the verdict is that of tries
alone (`workers.streams.poison`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from typing import Any, Final

import structlog
from redis.asyncio import Redis

from workers.common.errors import StreamRefused, Unavailable
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.redis_errors import group_is_missing, redis_errors

_log = structlog.get_logger(__name__)

_LONGEST_PAUSE_S: Final = 5.0
_SETTLING_S: Final = 10.0
"""After Redis's return those who hold entries have said so within this time."""
_KEPT_AT_ONCE: Final = 1_000
_PENDING_PAGE: Final = 5_000
"""Of XPENDING: what is pending here may be many thousands while a key server is away."""
_TOGETHER: Final = 2
"""Deliveries up to which an entry is tried in a whole batch."""
_FEW: Final = 25
"""At the delivery after that, in a batch so many times smaller; from then on alone."""

Entries = list[tuple[bytes, dict[bytes, bytes]]]
Feed = Callable[[RawBatch], Awaitable[None]]


class Reclaimer:
    """Feeds what is pending and nobody works on.

    Args:
        client: a connection to Redis.
        stream: the stream.
        group: its consumer group.
        consumer: the name of this worker in the group.
        idle_ms: an entry pending for longer is claimed, milliseconds.
        batch_size: the most entries taken at once.
        held: the entries that this worker has on its way: to claim one would be to claim our own.
        waiting: whether this worker waits for a server: then it claims nothing, since those whose
            entries it would take most likely wait as well.
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
        held: Callable[[], AbstractSet[str]],
        waiting: Callable[[], bool],
        feed: Feed,
    ) -> None:
        self._client = client
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._idle_ms = idle_ms
        self._batch_size = batch_size
        self._held = held
        self._waiting = waiting
        self._feed = feed

    async def inherit(self, until: str) -> int:
        """Take what a predecessor of the same name left; returns the number of entries.

        Args:
            until: the id last delivered before we began: later entries are our own; ``+`` once
                nothing is read any more, for what Redis handed over to a reader that was ended.
        """
        taken = 0
        after = "-"
        while True:
            with redis_errors():
                left: Any = await self._client.xpending_range(
                    self._stream, self._group, after, until, self._batch_size, self._consumer
                )
                if not left:
                    return taken
                ids = [row["message_id"].decode() for row in left]
                held = self._held()
                mine: list[Any] = [entry_id for entry_id in ids if entry_id not in held]
                # By their ids: to read this consumer's history would count a delivery of each
                # entry that it reads meanwhile.
                entries: Any = mine and await self._client.xclaim(
                    self._stream, self._group, self._consumer, 0, mine
                )
            after = f"({ids[-1]}"
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
                if self._waiting():
                    continue
                taken = await self.claim()
            except Unavailable:
                # The subscriber reports it. Those who hold entries come first once Redis is back.
                await asyncio.sleep(_SETTLING_S)
                continue
            except StreamRefused as error:
                if not group_is_missing(error):
                    raise
                continue  # the watchdog makes the group again
            if taken:
                _log.info("entries_claimed", stream=self._stream, entries=taken)

    async def keep(self) -> None:
        """Say again and again, until cancelled, that what this worker has on its way is not idle.

        A batch that is slow, or waits for a server, must not look like one whose worker is dead.
        Beside `run`, which itself may have to wait until there is room for what it claimed.
        """
        pause_s = min(self._idle_ms / 4000, _LONGEST_PAUSE_S)
        while True:
            await asyncio.sleep(pause_s)
            held: list[Any] = sorted(self._held())
            if not held:
                continue
            try:
                for start in range(0, len(held), _KEPT_AT_ONCE):
                    with redis_errors():
                        # Not what is fresh, which another may have claimed just now; and their ids
                        # alone: that counts no delivery.
                        await self._client.xclaim(
                            self._stream,
                            self._group,
                            self._consumer,
                            self._idle_ms // 4,
                            held[start : start + _KEPT_AT_ONCE],
                            justid=True,
                        )
            except Unavailable:
                continue  # the subscriber reports it
            except StreamRefused as error:
                if not group_is_missing(error):
                    raise

    async def _take(self, entries: Entries) -> int:
        # Deleted while it was pending: Redis before 7 would name it for ever.
        gone = [e[0] for e in entries if e[0] is not None and not e[1]]
        if gone:
            with redis_errors():
                await self._client.xack(self._stream, self._group, *gone)
        held = self._held()
        mine = [
            RawEntry(entry_id.decode(), fields)
            for entry_id, fields in entries
            if fields and entry_id.decode() not in held
        ]
        if mine:
            deliveries = await self._deliveries(mine)
            for batch in _in_company(self._stream, mine, deliveries, self._batch_size):
                await self._feed(batch)
        return len(mine)

    async def _deliveries(self, entries: Sequence[RawEntry]) -> dict[str, int]:
        """How often each entry was delivered, this time included."""
        wanted = {entry.entry_id for entry in entries}
        found: dict[str, int] = {}
        first: str = entries[0].entry_id
        while True:
            with redis_errors():
                # Between them lies what this worker has on its way, and what waits in it for a key.
                rows: Any = await self._client.xpending_range(
                    self._stream,
                    self._group,
                    first,
                    entries[-1].entry_id,
                    _PENDING_PAGE,
                    self._consumer,
                )
            for row in rows:
                entry_id = row["message_id"].decode()
                if entry_id in wanted:
                    found[entry_id] = int(row["times_delivered"])
            if len(rows) < _PENDING_PAGE:
                return found
            first = f"({rows[-1]['message_id'].decode()}"


def _in_company(
    stream: str, entries: Sequence[RawEntry], deliveries: Mapping[str, int], batch_size: int
) -> Iterator[RawBatch]:
    """Split entries into batches that are the smaller the oftener their entries were delivered."""

    def company(entry: RawEntry) -> int:
        beyond = deliveries.get(entry.entry_id, 1) - _TOGETHER
        return batch_size if beyond <= 0 else max(1, batch_size // _FEW) if beyond == 1 else 1

    for size, group in groupby(entries, key=company):
        alike = list(group)
        for start in range(0, len(alike), size):
            part = alike[start : start + size]
            alone = size == 1 and deliveries.get(part[0].entry_id, 1) > _TOGETHER
            yield RawBatch(stream, part, deliveries=deliveries, alone=alone)
