"""Life of a worker: start, run until stopped or drained, and stop without losing an entry."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from faststream.redis import RedisBroker

from contracts.streams import Shard
from workers.common.errors import KeysUnavailable, RedisUnavailable, Unavailable
from workers.common.tasks import GRACE_S, end
from workers.engine.engine import Engine
from workers.graph.projection import Projection
from workers.identity.keyring import KeyRing
from workers.operations.jobs.runner import JobRunner
from workers.operations.jobs.scheduler import Scheduler
from workers.operations.repair.background_replay import Replayer
from workers.publishing.lost_owners import LostOwners
from workers.publishing.outbox_relay import OutboxRelay
from workers.streams.consumption import Consumption
from workers.streams.followers import Followers
from workers.streams.housekeeping import Housekeeping
from workers.streams.leases.readers import Readers

_log = structlog.get_logger(__name__)

_DRAIN_POLL_S: Final = 0.1


class Worker:
    """Consume the streams of the worker's roles.

    Args:
        broker: FastStream's broker, on which all consumptions were declared.
        consumptions: in the order in which events pass through them, shard by shard.
        readers: hold the leases of responses streams; None if another role reads them.
        followers: drain the streams of other shard counts; None if another role does.
        engine: holds the batches in flight.
        prepare: reaches the required servers before anything is consumed.
        housekeeping: keeps the streams within their bounds.
        projection: projects mastery events; None if another role does.
        relay: publishes pending events; None if another role does.
        jobs: runs jobs; None if another role does.
        scheduler: requests jobs that are due; None if another role does.
        replayer: replays learners whose state is not under the active parameters; None if another
            role does.
        keys: refreshes the issuer's keys; None if there are none.
        owners: notes which servers have the streams; None if another role does.
    """

    def __init__(
        self,
        *,
        broker: RedisBroker,
        consumptions: Sequence[Consumption],
        engine: Engine,
        prepare: Callable[[], Awaitable[None]],
        housekeeping: Housekeeping,
        projection: Projection | None = None,
        readers: Readers | None = None,
        followers: Followers | None = None,
        relay: OutboxRelay | None = None,
        jobs: JobRunner | None = None,
        scheduler: Scheduler | None = None,
        replayer: Replayer | None = None,
        keys: KeyRing | None = None,
        owners: LostOwners | None = None,
    ) -> None:
        self._broker = broker
        self._consumptions = tuple(consumptions)
        self._engine = engine
        self._prepare = prepare
        self._housekeeping = housekeeping
        self._projection = projection
        self._readers = readers
        self._followers = followers
        self._relay = relay
        self._jobs = jobs
        self._scheduler = scheduler
        self._replayer = replayer
        self._keys = keys
        self._owners = owners
        self._beside: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Reach the servers, create missing streams and groups, and begin to consume.

        Raises:
            Unavailable: a required server can't be reached.
            Fatal: a required server refuses or is not as needed.
        """
        for consumption in self._consumptions:
            await consumption.prepare()
        await self._prepare()
        try:
            await self._broker.start()
        except (OSError, TimeoutError) as error:
            raise RedisUnavailable(str(error) or type(error).__name__) from error
        for consumption in self._shared():
            consumption.start()
        if self._followers is not None:
            await self._followers.look()
        if self._readers is not None:
            await self._readers.start()
        self._housekeeping.start()
        self._beside = [asyncio.create_task(self._engine.resume())]
        if self._followers is not None:
            self._beside.append(asyncio.create_task(self._followers.run()))
        if self._keys is not None:
            self._beside.append(asyncio.create_task(self._keys.run()))
        if self._owners is not None:
            self._beside.append(asyncio.create_task(self._owners.run(lambda: self.reading)))
        if self._scheduler is not None:
            self._beside.append(asyncio.create_task(self._scheduler.run()))
        _log.info("worker_started", streams=[c.stream for c in self._consumptions])

    async def run(self, *, burst: bool = False, stopped: asyncio.Event | None = None) -> None:
        """Work until stopped, or with ``burst`` until every stream of the roles is drained.

        Raises:
            Exception: the error that stopped the engine or the projection.
        """
        ends: list[Coroutine[Any, Any, object]] = [
            (stopped or asyncio.Event()).wait(),
            self._engine.until_failed(),
        ]
        if self._projection is not None:
            ends.append(self._projection.until_failed())
        if burst:
            # Draining publishes pending events, so no other relay may have claimed any.
            ends.append(self._until_drained())
        else:
            ends += [
                service.run() for service in (self._relay, self._replayer) if service is not None
            ]
        tasks = [asyncio.create_task(coroutine) for coroutine in ends]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end(tasks)

    async def stop(self) -> None:
        """Take no more entries, finish those in flight within the grace time, and disconnect."""
        deadline = asyncio.get_running_loop().time() + GRACE_S
        # The reader of jobs waits for the running job.
        if self._jobs is not None:
            await self._jobs.stop()
        # Entries that wait for keys stay pending for the next worker.
        await end(self._beside)
        leaving = [
            asyncio.create_task(part.stop())
            for part in (self._readers, self._followers)
            if part is not None
        ]
        # The broker has the same grace time; a batch waiting for room may use it up.
        await asyncio.gather(*(consumption.stop() for consumption in self._shared()))
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                finishing = (consumption.finish() for consumption in self._shared())
                await asyncio.gather(*leaving, *finishing)
                await self._engine.drain()
        await self._engine.abandon()
        if self._readers is not None:
            await self._readers.abandon()
        await self._housekeeping.stop()
        await self._broker.stop()
        _log.info("worker_stopped")

    def waited_for(self) -> dict[str, str]:
        """Map each server that work waits for to the reason."""
        jobs = {} if self._jobs is None else self._jobs.waited_for()
        return {**jobs, **self._engine.waited_for()}

    async def consuming(self) -> None:
        """Return if every stream is being read that this worker should read.

        Raises:
            RedisUnavailable: the message names the streams that are not read.
            StreamRefused: Redis refuses the leases.
            KeysUnavailable: no stream is read because the issuer's keys are missing.
        """
        why = self._engine.waited_for().get("keys")
        if why is not None:
            raise KeysUnavailable(why)
        silent = [c.stream for c in self._shared() if not c.alive]
        if silent:
            raise RedisUnavailable(f"nothing reads {', '.join(silent)}")
        if self._readers is not None:
            self._readers.check()

    @property
    def reading(self) -> list[str]:
        """The responses streams that this worker reads, by its leases."""
        return [] if self._readers is None else self._readers.held

    @property
    def old_shards(self) -> tuple[Shard, ...]:
        """The shards of other counts that were found."""
        return () if self._followers is None else self._followers.found

    def notes(self) -> dict[str, str]:
        """Map each part to what an operator should know about it although it works."""
        if self._readers is None or self.reading:
            return {}
        return {"consumer": f"standby: other workers read {', '.join(self._readers.others)}"}

    def _shared(self) -> list[Consumption]:
        """Return the consumptions that need no lease: all workers read these streams."""
        return [consumption for consumption in self._consumptions if not consumption.later]

    def _drains(self) -> list[Callable[[], Awaitable[bool]]]:
        followers = [] if self._followers is None else [self._followers.drained]
        return [*(consumption.drained for consumption in self._consumptions), *followers]

    async def _until_drained(self) -> None:
        while True:
            try:
                if not await self._drain():
                    return
            except Unavailable:
                await asyncio.sleep(_DRAIN_POLL_S)

    async def _drain(self) -> int:
        """Wait until each stream is drained, replay, publish pending events; return their number.

        The order is that of the flow: once the engine's stream is drained, all its events are in
        the projector's stream. Changes by jobs and replays are published last, into that stream.
        """
        if self._followers is not None:
            await self._followers.look()
        for drained in self._drains():
            while not await drained():  # noqa: ASYNC110  # Redis does not notify
                await asyncio.sleep(_DRAIN_POLL_S)
        if self._replayer is not None:
            await self._replayer.replay()
        return 0 if self._relay is None else await self._relay.publish()


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; a second signal ends the process as usual."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    return stopped
