"""One life of a worker: the real pieces, wired as `workers.app.worker` wires them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from contracts.streams import Shard, shards
from tests.model.held import HeldLedger, HeldPublisher, MortalRedis
from tests.model.publishing import LARGEST_EVENT
from tests.model.reading import Reading, Stream
from tests.model.strand import Killed, Strand
from workers.admission.admission import Admission
from workers.common.errors import Unavailable
from workers.common.retrying import Retrying
from workers.engine.engine import Engine
from workers.engine.pipeline import Pipeline
from workers.engine.recorder import Recorder
from workers.identity.claims import Authorisation, TrustedClaims
from workers.ledger.exchange import Commit, Committed
from workers.ledger.parameter_versions import Versions
from workers.ledger.sql.direct import DirectLedger
from workers.metrics.meter import Meter
from workers.publishing.settled import Settled
from workers.streams.batch import RawBatch
from workers.streams.poison import PoisonIsolation
from workers.streams.redriven import RedriveOrigins
from workers.streams.route import Route
from workers.streams.tries import Tries

COUNTS: Final = (0, 2, 3)
"""Numbers of shards that there may be."""
SHARDS: Final[tuple[Shard, ...]] = tuple(
    dict.fromkeys(shard for count in COUNTS for shard in shards(count))
)
"""All shards of these numbers: the plain streams, and those of the largest number."""
_CALM_TURNS: Final = 30
"""Turns of the loop without anything new, after which nothing new can come by itself."""
_REST_S: Final = 10.0
_TRIES: Final = 100
"""Tries of an entry alone: more than a run has steps, so no innocent entry is condemned."""


class Incarnation:
    """A worker process from its start to its end.

    Args:
        number: of this life, among all workers.
        consumer: its name in the group.
        shard_count: its ``STREAM_SHARDS``.
        clock: the world's, for leases.
        client: the world's Redis.
        ledger: the world's ledger.
        meter: the world's.
        parameters: what it knows of them.
        strand: on which it hangs.
        committed: told of each commit that was applied.
        published: awaited after each script, with the stream of its events.
        released: awaited before a lease is given back, with the stream and the worker's name.
    """

    def __init__(
        self,
        *,
        number: int,
        consumer: str,
        shard_count: int,
        clock: Callable[[], float],
        client: Redis,
        ledger: DirectLedger,
        meter: Meter,
        parameters: Versions,
        strand: Strand,
        committed: Callable[[Commit, Committed], None],
        published: Callable[[str], Awaitable[None]],
        released: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self.number = number
        self.strand = strand
        self.overtaken = 0
        """Commits made while two earlier batches were committed and not acknowledged."""
        self._batches = 0
        self._batch_of: dict[str, int] = {}
        self._unacknowledged: set[int] = set()
        self._committed = committed
        self._published = published
        self.consumer = consumer
        self._redis = MortalRedis(connection_pool=client.connection_pool)
        self._redis.strand = strand
        retrying = Retrying(first_s=0.001, longest_s=0.001)
        self._engine = Engine(
            pipeline=Pipeline(
                admission=Admission(
                    authenticator=TrustedClaims(
                        issuer=None, audience="authenticated", tenant_claim="tenant_id"
                    ),
                    authorisation=Authorisation(frozenset({"service_role"})),
                    max_event_bytes=LARGEST_EVENT,
                    max_token_bytes=1_024,
                ),
                recorder=Recorder(
                    ledger=HeldLedger(ledger, strand, self._note_commit),
                    parameters=parameters,
                    retrying=retrying,
                    meter=meter,
                ),
                publisher=HeldPublisher(client, strand, self._note_script),
                retrying=retrying,
                meter=meter,
            ),
            origins=RedriveOrigins(self._redis),
            isolation=PoisonIsolation(Tries(self._redis), retrying, _TRIES),
            retrying=retrying,
        )
        self.streams = {
            shard: Stream(self._redis, shard, consumer, self._engine, self._submit)
            for shard in SHARDS
        }
        self.reading = Reading(
            client=self._redis,
            consumer=consumer,
            engine=self._engine,
            streams=self.streams,
            shard_count=shard_count,
            own=shards(shard_count),
            clock=clock,
            released=released,
        )
        self._intake: set[asyncio.Task[object]] = set()

    def submit(self, stream: Stream, batch: RawBatch) -> None:
        """Hand a batch to the engine, which may have no room for it yet."""
        self._begin(self._submit(stream.route, batch))

    def inherit(self, stream: Stream, until: str) -> None:
        """Begin to take what the predecessor of the same name left."""
        self._begin(stream.reclaimer.inherit(until))

    def claim(self, stream: Stream) -> None:
        """Begin to take what is pending with anybody, however short a time."""
        self._begin(stream.reclaimer.claim())

    def take_over(self, stream: Stream, *, others_only: bool = False) -> None:
        """Begin to take what is pending with anybody, as a worker that acquired the lease."""
        self._begin(stream.reclaimer.take_over(others_only=others_only))

    @property
    def at_work(self) -> bool:
        """True if a call is in flight."""
        return bool(
            self._intake
            or self.reading.at_work
            or any(self._engine.in_flight(stream.stream) for stream in self.streams.values())
        )

    async def rest(self) -> None:
        """Return once everything on its way is held, waits for what is held, or is done."""
        calm = 0
        async with asyncio.timeout(_REST_S):
            while calm < _CALM_TURNS:
                if self.strand.busy or (self.at_work and not self.strand.holds):
                    # A server is at work, or a pause between two tries passes.
                    calm = 0
                    await asyncio.sleep(0.0002)
                else:
                    calm += 1
                    await asyncio.sleep(0)

    async def fail(self, error: Exception) -> None:
        """Fail the call held the longest; return at rest."""
        arrivals = self.strand.arrivals
        self.strand.fail(error)
        if isinstance(error, Unavailable):
            async with asyncio.timeout(_REST_S):
                while self.strand.arrivals == arrivals:
                    await asyncio.sleep(0.0002)
        await self.rest()

    async def die(self, *, leaving_request: bool) -> None:
        """End as with SIGKILL: nothing of it runs any more."""
        self.strand.kill(leaving_request=leaving_request)
        await self._engine.drain()
        await self.reading.abandon()
        while self._intake:
            await asyncio.sleep(0)

    async def give_up(self) -> None:
        """End as after the time of grace: what is on its way is cancelled."""
        for task in self._intake:
            task.cancel()
        await self.reading.abandon()
        await self._engine.abandon()
        self.strand.dead = True

    def _begin(self, way: Any) -> None:
        task = asyncio.ensure_future(way)
        self._intake.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[object]") -> None:
        self._intake.discard(task)
        if not task.cancelled() and not isinstance(error := task.exception(), Killed) and error:
            raise error

    def _note_commit(self, commit: Commit, answer: Committed) -> None:
        batch = self._batch_of[commit.entries[0]]
        self.overtaken += len(self._unacknowledged - {batch}) > 1
        self._unacknowledged.add(batch)
        self._committed(commit, answer)

    async def _note_script(self, route: Route, settled: Sequence[Settled]) -> None:
        names = [f"{route.source}/{entry.entry.entry_id}" for entry in settled]
        self._unacknowledged -= {self._batch_of[name] for name in names}
        await self._published(route.events)

    async def _submit(self, route: Route, batch: RawBatch) -> None:
        number, self._batches = self._batches, self._batches + 1
        self._batch_of |= {
            f"{route.source}/{entry.entry_id}": number
            for entry in batch
            if entry.entry_id not in self._engine.in_flight(route.source)
        }
        await self._engine.submit(route, batch)
