"""Wire what reads the streams of each role."""

from collections.abc import Callable

from contracts.jobs import JobRequested
from contracts.mastery import MasteryChanged
from contracts.responses import ResponseRecorded
from contracts.streams import ENGINE_GROUP, GRAPH_GROUP, JOBS, JOBS_GROUP, Shard
from workers.app.servers import Servers
from workers.config.settings import Settings
from workers.engine.engine import Engine
from workers.graph.coalescing import largest_batch, rest
from workers.graph.projection import Projection
from workers.operations.jobs.runner import JobRunner
from workers.streams.batch import RawBatch
from workers.streams.consumption import Consumption
from workers.streams.leases.lease import Lease
from workers.streams.leases.leased_reader import LeasedReader
from workers.streams.leases.readers import Readers
from workers.streams.leases.roster import Roster
from workers.streams.old_shards import OldShards
from workers.streams.route import Route


class Consumptions:
    """Makes the consumptions of a worker.

    Args:
        settings: the settings.
        servers: open connections.
        consumer: this worker's name in its groups.
    """

    def __init__(self, settings: Settings, servers: Servers, consumer: str) -> None:
        self._settings = settings
        self._servers = servers
        self._consumer = consumer

    def recording(self, engine: Engine, shard: Shard) -> Consumption:
        """Make the consumption of a shard's responses; its reader holds a lease."""
        route = Route.of_responses(shard)

        async def record(batch: RawBatch) -> None:
            await engine.submit(route, batch)

        return Consumption(
            broker=self._servers.broker,
            client=self._servers.redis,
            consumer=self._consumer,
            batch_size=self._settings.batch_size,
            reclaim_after_ms=self._settings.reclaim_after_ms,
            stream=shard.responses,
            group=ENGINE_GROUP,
            event=ResponseRecorded,
            handler=record,
            in_flight=lambda: engine.in_flight(shard.responses),
            waiting=engine.unsettled,
            later=True,
        )

    def projecting(
        self, projection: Projection, shard: Shard, *, later: bool = False
    ) -> Consumption:
        """Make the consumption of a shard's mastery events.

        Args:
            projection: projects them.
            shard: the shard.
            later: see `Consumption`.
        """
        route, largest = Route.of_mastery(shard), largest_batch(self._settings.batch_size)

        async def project(batch: RawBatch) -> None:
            await projection.submit(route, batch)
            await rest(len(batch), largest)

        return Consumption(
            broker=self._servers.broker,
            client=self._servers.redis,
            consumer=self._consumer,
            batch_size=largest,
            reclaim_after_ms=self._settings.reclaim_after_ms,
            stream=shard.mastery,
            group=GRAPH_GROUP,
            event=MasteryChanged,
            handler=project,
            in_flight=lambda: projection.in_flight(shard.mastery),
            waiting=projection.unsettled,
            later=later,
        )

    def running(self, jobs: JobRunner) -> Consumption:
        """Make the consumption of job requests, one at a time."""
        return Consumption(
            broker=self._servers.broker,
            client=self._servers.redis,
            consumer=self._consumer,
            batch_size=1,
            reclaim_after_ms=self._settings.reclaim_after_ms,
            stream=JOBS,
            group=JOBS_GROUP,
            event=JobRequested,
            handler=jobs.submit,
            in_flight=lambda: jobs.in_flight,
            waiting=jobs.busy,
        )

    def leased(
        self,
        engine: Engine,
        recording: dict[Shard, Consumption],
        old: OldShards,
        reading: Callable[[int], None],
    ) -> Readers:
        """Wire the readers of responses, one for each stream among all workers.

        Args:
            engine: processes them.
            recording: the consumptions of this worker's own shards.
            old: finds the shards of other counts.
            reading: called with the number of streams that this worker reads.
        """
        client = self._servers.redis

        def make(shard: Shard) -> LeasedReader:
            consumption = recording.get(shard) or self.recording(engine, shard)
            return LeasedReader(
                consumption,
                Lease(client, shard.responses, self._consumer),
                settled=engine.settled,
                let_go=engine.let_go,
            )

        return Readers(
            roster=Roster(client, self._consumer, self._settings.stream_shards),
            make=make,
            old=lambda: old.responses,
            reading=reading,
        )
