"""Claim entries that were delivered and never acknowledged.

An entry delivered again may have crashed a process, so it is tried in ever smaller batches: first
in a whole batch again, because a killed worker is more likely than a bad entry; then with a few
others; then alone. The number of deliveries decides only the size of the batch. Only the number of
tries decides that an entry is poison (`workers.streams.poison`).
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
"""Once Redis is back, live workers have marked their entries as in flight within this time."""
_KEPT_AT_ONCE: Final = 1_000
_PENDING_PAGE: Final = 5_000
"""Entries per XPENDING; thousands may be pending while a key server is away."""
_TOGETHER: Final = 2
"""Most deliveries for which an entry is tried in a whole batch."""
_FEW: Final = 25
"""Divisor of the batch size at the next delivery; later deliveries are alone."""

Entries = list[tuple[bytes, dict[bytes, bytes]]]
Feed = Callable[[RawBatch], Awaitable[None]]


class Reclaimer:
    """Feed pending entries that no live worker processes.

    Args:
        client: a connection to Redis.
        stream: name of the stream.
        group: its consumer group.
        consumer: this worker's name in the group.
        idle_ms: an entry pending for longer is claimed, milliseconds.
        batch_size: the most entries taken at once.
        in_flight: returns the entries in flight in this worker, which must not be claimed.
        waiting: returns True while this worker waits for a server. It then claims nothing, because
            the owners of the idle entries most likely wait too.
        feed: processes a batch of entries; returns when there is room for the next.
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
        in_flight: Callable[[], AbstractSet[str]],
        waiting: Callable[[], bool],
        feed: Feed,
    ) -> None:
        self._client = client
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._idle_ms = idle_ms
        self._batch_size = batch_size
        self._in_flight = in_flight
        self._waiting = waiting
        self._feed = feed

    async def inherit(self, until: str) -> int:
        """Take the entries left by a predecessor of the same name; return their number.

        Args:
            until: the last id delivered before this process began, since later entries are its own;
                ``+`` once reading has stopped, for entries delivered to the cancelled read.
        """
        return await self._take_pending(until, self._consumer)

    async def take_over(self, *, others_only: bool = False) -> int:
        """Take the pending entries of all consumers, whatever their idle time; return their number.

        Only the holder of the stream's lease calls it: nobody else works on them.

        Args:
            others_only: leave this worker's own entries, which it is about to process.
        """
        return await self._take_pending("+", None, others_only=others_only)

    async def _take_pending(
        self, until: str, consumer: str | None, *, others_only: bool = False
    ) -> int:
        """Claim pending entries by their ids, oldest first, and process them."""
        taken = 0
        after = "-"
        own = self._consumer.encode()
        while True:
            with redis_errors():
                left: Any = await self._client.xpending_range(
                    self._stream, self._group, after, until, self._batch_size, consumer
                )
                if not left:
                    return taken
                in_flight = self._in_flight()
                ids: list[Any] = [
                    row["message_id"].decode()
                    for row in left
                    if not (others_only and row["consumer"] == own)
                ]
                mine: list[Any] = [entry_id for entry_id in ids if entry_id not in in_flight]
                # By their ids: reading this consumer's history would count a delivery of each
                # entry that it reads in the meantime.
                entries: Any = mine and await self._client.xclaim(
                    self._stream, self._group, self._consumer, 0, mine
                )
            after = f"({left[-1]['message_id'].decode()}"
            taken += await self._take(entries)

    async def claim(self) -> int:
        """Claim all entries idle for too long, once; return their number."""
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
                # The subscriber reports it. Once Redis is back, the owners of entries come first.
                await asyncio.sleep(_SETTLING_S)
                continue
            except StreamRefused as error:
                if not group_is_missing(error):
                    raise
                continue  # the watchdog creates the group again
            if taken:
                _log.info("entries_claimed", stream=self._stream, entries=taken)

    async def keep(self) -> None:
        """Reset the idle time of this worker's entries in flight, again and again until cancelled.

        A batch that is slow, or waits for a server, must not look like the batch of a dead worker.
        It runs beside `run`, which may itself wait for room for the entries that it claimed.
        """
        pause_s = min(self._idle_ms / 4000, _LONGEST_PAUSE_S)
        while True:
            await asyncio.sleep(pause_s)
            in_flight: list[Any] = sorted(self._in_flight())
            if not in_flight:
                continue
            try:
                for start in range(0, len(in_flight), _KEPT_AT_ONCE):
                    with redis_errors():
                        # Skip recent entries, which another worker may just have claimed. With
                        # JUSTID, XCLAIM counts no delivery.
                        await self._client.xclaim(
                            self._stream,
                            self._group,
                            self._consumer,
                            self._idle_ms // 4,
                            in_flight[start : start + _KEPT_AT_ONCE],
                            justid=True,
                        )
            except Unavailable:
                continue  # the subscriber reports it
            except StreamRefused as error:
                if not group_is_missing(error):
                    raise

    async def _take(self, entries: Entries) -> int:
        # Deleted while pending: Redis before 7 would list it for ever.
        gone = [e[0] for e in entries if e[0] is not None and not e[1]]
        if gone:
            with redis_errors():
                await self._client.xack(self._stream, self._group, *gone)
        in_flight = self._in_flight()
        mine = [
            RawEntry(entry_id.decode(), fields)
            for entry_id, fields in entries
            if fields and entry_id.decode() not in in_flight
        ]
        if mine:
            deliveries = await self._deliveries(mine)
            for batch in _in_company(self._stream, mine, deliveries, self._batch_size):
                await self._feed(batch)
        return len(mine)

    async def _deliveries(self, entries: Sequence[RawEntry]) -> dict[str, int]:
        """Read the number of deliveries of each entry, this one included."""
        wanted = {entry.entry_id for entry in entries}
        deliveries: dict[str, int] = {}
        first: str = entries[0].entry_id
        while True:
            with redis_errors():
                # Entries in flight here, or waiting for a key, lie between them.
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
                    deliveries[entry_id] = int(row["times_delivered"])
            if len(rows) < _PENDING_PAGE:
                return deliveries
            first = f"({rows[-1]['message_id'].decode()}"


def _in_company(
    stream: str, entries: Sequence[RawEntry], deliveries: Mapping[str, int], batch_size: int
) -> Iterator[RawBatch]:
    """Split entries into batches; the more often an entry was delivered, the smaller its batch."""

    def company(entry: RawEntry) -> int:
        beyond = deliveries.get(entry.entry_id, 1) - _TOGETHER
        return batch_size if beyond <= 0 else max(1, batch_size // _FEW) if beyond == 1 else 1

    for size, group in groupby(entries, key=company):
        alike = list(group)
        for start in range(0, len(alike), size):
            part = alike[start : start + size]
            alone = size == 1 and deliveries.get(part[0].entry_id, 1) > _TOGETHER
            yield RawBatch(stream, part, deliveries=deliveries, alone=alone)
