"""One stream that this worker reads while it holds the stream's lease."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Final, Protocol

import structlog

from workers.common.errors import StreamRefused, Unavailable
from workers.common.tasks import end
from workers.streams.leases.lease import Lease

_log = structlog.get_logger(__name__)

_AGAIN_S: Final = 0.5


class Readable(Protocol):
    """A stream whose reading begins and ends; see `Consumption`."""

    stream: str

    @property
    def alive(self) -> bool:
        """True while entries are read."""

    async def take_over(self) -> None:
        """Process what any consumer left pending, then read."""

    async def stop(self) -> None:
        """Stop taking entries."""

    async def finish(self) -> None:
        """After `stop`, process what Redis had already delivered."""


class _Stage(Enum):
    FREE = auto()
    TAKING = auto()
    READING = auto()
    LEAVING = auto()
    """Reading is over; batches may still be in flight."""


class LeasedReader:
    """Reads one stream while its lease is held.

    Args:
        consumption: reads the stream.
        lease: the lease of the stream.
        settled: returns when no entry of the stream is processed in this worker.
        let_go: forgets the entries of the stream that wait in this worker.
    """

    def __init__(
        self,
        consumption: Readable,
        lease: Lease,
        *,
        settled: Callable[[str], Awaitable[None]],
        let_go: Callable[[str], None],
    ) -> None:
        self.stream = consumption.stream
        self._consumption = consumption
        self._lease = lease
        self._settled = settled
        self._let_go = let_go
        self._stage = _Stage.FREE
        self._task: asyncio.Task[None] | None = None

    @property
    def free(self) -> bool:
        """True if this worker has nothing to do with the stream."""
        return self._stage is _Stage.FREE

    @property
    def held(self) -> bool:
        """True if this worker reads the stream, or takes over what is pending first."""
        return self._stage in (_Stage.TAKING, _Stage.READING)

    @property
    def silent(self) -> bool:
        """True if this worker should read the stream and does not."""
        return self._stage is _Stage.READING and not self._consumption.alive

    async def acquire(self) -> bool:
        """Begin to read if the lease is free; return True if this worker reads from now on.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: permission is missing.
        """
        if not self.free or not await self._lease.acquire():
            return False
        self._go_to(_Stage.TAKING, self._take)
        _log.info("lease_acquired", stream=self.stream)
        return True

    async def extend(self) -> None:
        """Extend the lease if it is due, and stop reading if it is lost.

        Raises:
            RedisUnavailable: try again, and call `check`.
            StreamRefused: permission is missing.
        """
        if not self.free and not await self._lease.extend():
            self._lose("another worker took it, or it ran out")

    def check(self) -> None:
        """Stop reading if the lease has run out while Redis did not answer."""
        if self.held and self._lease.expired:
            self._lose("it ran out while Redis did not answer")

    def hand_over(self) -> None:
        """Stop reading, finish the batches in flight, then release the lease; see `ended`."""
        if self.held:
            self._go_to(_Stage.LEAVING, self._leave)

    async def ended(self) -> None:
        """Return when the stream is handed over."""
        while self._stage is _Stage.LEAVING and self._task is not None:
            await asyncio.wait({self._task})

    async def abandon(self) -> None:
        """Drop all at once; the lease runs out by itself if it is not released yet."""
        if self._task is not None:
            await end([self._task])
        self._stage = _Stage.FREE

    def _lose(self, why: str) -> None:
        if self.held:
            _log.warning("lease_lost", stream=self.stream, reason=why)
            self._go_to(_Stage.LEAVING, self._drop)

    def _go_to(self, stage: _Stage, work: Callable[[], Awaitable[None]]) -> None:
        self._stage = stage
        self._task = asyncio.create_task(self._after(self._task, work))

    async def _after(
        self, before: "asyncio.Task[None] | None", work: Callable[[], Awaitable[None]]
    ) -> None:
        if before is not None:
            await end([before])
        await work()

    async def _take(self) -> None:
        while True:
            try:
                await self._consumption.take_over()
            except Exception as error:  # noqa: BLE001  # the stream must not wait for ever
                _log.warning("taking_over_failed", stream=self.stream, error=str(error))
                await self._consumption.stop()
                await asyncio.sleep(_AGAIN_S)
            else:
                self._stage = _Stage.READING
                return

    async def _leave(self) -> None:
        try:
            await self._consumption.stop()
            await self._consumption.finish()
            await self._settled(self.stream)
            # They stay pending, and the next holder takes them over.
            self._let_go(self.stream)
            await self._lease.release()
            _log.info("lease_handed_over", stream=self.stream)
        except (Unavailable, StreamRefused) as error:
            _log.warning("lease_left", stream=self.stream, error=str(error))
        finally:
            self._stage = _Stage.FREE

    async def _drop(self) -> None:
        """Stop reading; batches in flight go on, and the next holder may have them as well."""
        try:
            await self._consumption.stop()
            self._let_go(self.stream)
        finally:
            self._stage = _Stage.FREE
