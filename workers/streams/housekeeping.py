"""Keep the streams within their bounds while the worker runs, every few seconds."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from workers.common.errors import Unavailable
from workers.common.jitter import jittered_sleep
from workers.common.tasks import end
from workers.streams.entry_ids import order
from workers.streams.trimming import Bounds, Trimmed, Trimmer

_log = structlog.get_logger(__name__)

_PERIOD_S: Final = 2.0
_LAST_SWEEP_S: Final = 2.0
"""Longest wait of a stop for a Redis that does not answer, seconds."""
_WARN_AGAIN_S: Final = 600.0
_GONE_AFTER: Final = 10
"""A consumer silent for this many times `RECLAIM_AFTER_MS` is gone; a live one polls more often."""


class Housekeeping:
    """Trim the streams, and remove dead consumers and the try counts of deleted entries.

    Every worker does it for all streams: each step is atomic and safe to run concurrently.

    Args:
        trimmer: performs each step.
        bounds: the bounds of each stream.
        others: returns the bounds of streams that come and go.
        consumer: this worker's name in the groups.
        reclaim_after_ms: idle time after which pending entries are claimed, milliseconds. A
            consumer silent for ten times as long, with no pending entry, is gone.
        trimmed: called with the stream and the number of entries removed.
        period_s: longest time between two sweeps, seconds.
        clock: a monotonic clock, seconds.
    """

    def __init__(
        self,
        *,
        trimmer: Trimmer,
        bounds: Sequence[Bounds],
        consumer: str,
        reclaim_after_ms: int,
        trimmed: Callable[[str, int], None],
        others: Callable[[], Sequence[Bounds]] = tuple,
        period_s: float = _PERIOD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trimmer = trimmer
        self._bounds = tuple(bounds)
        self._others = others
        self._consumer = consumer
        self._gone_after_ms = _GONE_AFTER * reclaim_after_ms
        self._trimmed = trimmed
        self._period_s = period_s
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._failing: set[str] = set()
        self._warned: dict[tuple[str, str], float] = {}

    def start(self) -> None:
        """Sweep until stopped."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop after a last sweep, so that drained streams are left short."""
        if self._task is None:
            return
        task, self._task = self._task, None
        await end([task])
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_SWEEP_S):
                await self.sweep()

    async def sweep(self) -> None:
        """Trim every stream to its bounds once; log a failure and leave it for the next sweep."""
        for bounds in (*self._bounds, *self._others()):
            try:
                await self._sweep(bounds)
            except Unavailable:
                return  # the readers of the stream report it and wait; wait too
            except Exception as error:  # noqa: BLE001  # the other streams go on
                if bounds.stream not in self._failing:
                    self._failing.add(bounds.stream)
                    _log.warning("housekeeping_failed", stream=bounds.stream, error=str(error))
            else:
                self._failing.discard(bounds.stream)

    async def _run(self) -> None:
        while True:
            # Workers that start together should not all sweep at the same time.
            await jittered_sleep(self._period_s)
            await self.sweep()

    async def _sweep(self, bounds: Bounds) -> None:
        trimmed = await self._trimmer.trim(bounds)
        needs, total = trimmed.needs, trimmed.entries
        self._trimmed(bounds.stream, trimmed.entries)
        while trimmed.more:
            trimmed = await self._trimmer.trim(bounds)
            total += trimmed.entries
            self._trimmed(bounds.stream, trimmed.entries)
        if bounds.retention_ms is not None:
            self._warn(bounds, trimmed._replace(entries=total, needs=needs), bounds.retention_ms)
        if bounds.group is None:
            return  # no group of ours counts tries of its entries
        await self._trimmer.forget_tries(bounds.stream, trimmed.first)
        names = await self._trimmer.forget_consumers(
            bounds.stream, bounds.group, idle_ms=self._gone_after_ms, consumer=self._consumer
        )
        if names:
            _log.info(
                "consumers_forgotten", stream=bounds.stream, group=bounds.group, consumers=names
            )

    def _warn(self, bounds: Bounds, trimmed: Trimmed, retention_ms: int) -> None:
        """Log which groups are about to lose entries by age, and which have just lost some."""
        retention_s = retention_ms / 1000
        for need in trimmed.needs:
            if need.oldest is None:
                continue
            details = {
                "stream": bounds.stream,
                "group": need.group,
                "oldest_age_s": round(trimmed.age_s(need.oldest)),
                "retention_s": round(retention_s),
            }
            if trimmed.entries and order(need.oldest) < order(trimmed.first):
                _log.warning("unacknowledged_entries_trimmed", **details, trimmed=trimmed.entries)
            elif trimmed.age_s(need.oldest) > retention_s / 2 and self._due(bounds, need.group):
                _log.warning("retention_near", **details)

    def _due(self, bounds: Bounds, group: str) -> bool:
        key = (bounds.stream, group)
        last = self._warned.get(key)
        if last is not None and self._clock() - last < _WARN_AGAIN_S:
            return False
        self._warned[key] = self._clock()
        return True
