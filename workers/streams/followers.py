"""Drain the streams of other shard counts beside those of this one."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from contracts.streams import Shard
from workers.common.errors import StreamRefused, Unavailable
from workers.common.jitter import jittered_sleep
from workers.streams.consumption import Consumption
from workers.streams.old_shards import OldShards

_log = structlog.get_logger(__name__)

_PERIOD_S: Final = 10.0


class Followers:
    """Looks for old shards again and again, and reads their mastery events until drained.

    Who reads their responses is decided by leases; see `workers.streams.leases.readers`.

    Args:
        old: finds the streams.
        records: True if this worker records responses.
        project: makes the consumption of a shard's mastery events; None if another role reads them.
        period_s: longest time between two looks, seconds.
    """

    def __init__(
        self,
        old: OldShards,
        *,
        records: bool,
        project: Callable[[Shard], Consumption] | None,
        period_s: float = _PERIOD_S,
    ) -> None:
        self._old = old
        self._records = records
        self._project = project
        self._period_s = period_s
        self._known: dict[str, Consumption] = {}
        self._reading: set[str] = set()

    @property
    def found(self) -> tuple[Shard, ...]:
        """The old shards that exist."""
        return self._old.found

    async def look(self) -> None:
        """Look once, and begin or end reading accordingly.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: permission is missing.
        """
        before = set(self._old.found)
        await self._old.look()
        for shard in self._old.found:
            if shard not in before:
                _log.info("old_streams_found", streams=[shard.responses, shard.mastery])
        await self._adjust(self._old.mastery)

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await jittered_sleep(self._period_s)
            try:
                await self.look()
            except Unavailable:
                continue  # the readers of the streams report it
            except StreamRefused as error:
                _log.warning("old_streams_unknown", error=str(error))

    async def drained(self) -> bool:
        """Return True if nothing of the old streams is left for the roles of this worker.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: permission is missing.
        """
        await self._old.look_again()
        left = (self._records and self._old.responses) or (self._project and self._old.mastery)
        return not left

    async def stop(self) -> None:
        """Stop reading, then process what Redis had already delivered."""
        reading = [self._known[stream] for stream in self._reading]
        self._reading = set()
        await asyncio.gather(*(_leave(consumption) for consumption in reading))

    async def _adjust(self, wanted: Iterable[Shard]) -> None:
        if self._project is None:
            return
        shards = {shard.mastery: shard for shard in wanted}
        for stream in self._reading - shards.keys():
            self._reading.discard(stream)
            await _leave(self._known[stream])
        for stream in shards.keys() - self._reading:
            if stream not in self._known:
                self._known[stream] = self._project(shards[stream])
            await self._known[stream].join()
            self._reading.add(stream)


async def _leave(consumption: Consumption) -> None:
    await consumption.stop()
    await consumption.finish()
