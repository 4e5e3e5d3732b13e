"""The servers on which the model's workers live, and what was done to them in one run."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import asyncpg
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, EVENT_FIELD, Shard, shard_of, shards
from tests.model.incarnation import SHARDS, Incarnation
from tests.model.publishing import Published
from tests.model.reading import LEASE_S
from tests.model.replica import Replica
from tests.model.strand import Killed, Strand, Stray
from workers.estimation.documents import parameters_document
from workers.estimation.parameters import BktParameters, Parameters
from workers.ledger.exchange import Commit, Committed
from workers.ledger.sql.direct import DirectLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.publishing.publisher import Publisher
from workers.publishing.settled import Settled
from workers.streams.batch import RawEntry
from workers.streams.leases.lease import lease_key
from workers.streams.leases.roster import ROSTER_KEY
from workers.streams.old_shards import undrained
from workers.streams.route import Route
from workers.streams.subscribers import ensure_groups

Found = TypeVar("Found")

OTHER: Final = BktParameters(0.4, 0.2, 0.15, 0.05, 0.02)
PARAMETERS: Final = {
    1: Parameters(version=1),
    2: Parameters(version=2, default=OTHER),
}
_JOINED_S: Final = 0.002
"""Workers join at different milliseconds, so that their order is the same in each run."""
_CLEAR: Final = """
delete from public.student_responses; delete from public.concept_mastery;
delete from public.student_ability; delete from public.practice_sessions;
delete from mastery.snapshots; delete from mastery.learners; delete from mastery.active_parameters;
"""


class _Known:
    """Parameters as a worker knows them: all are read, the active one perhaps late."""

    def __init__(self) -> None:
        self.active = PARAMETERS[1]

    async def of(self, version: int) -> Parameters:
        return PARAMETERS[version]

    async def switch_to(self, version: int) -> Parameters:
        self.active = PARAMETERS[version]
        return self.active

    async def refresh(self) -> Parameters:
        return self.active


class World:
    """Real servers, empty at the beginning of each run, and a loop that stands still between steps.

    Args:
        runner: owns the loop.
        redis_url: a logical database of its own.
        dsn: a migrated database of its own.
    """

    def __init__(self, runner: asyncio.Runner, redis_url: str, dsn: str) -> None:
        self._runner = runner
        self._dsn = dsn
        self._meter = EngineMetrics("0")
        self.redis = Redis.from_url(redis_url)
        self.ledger = DirectLedger(dsn)
        self.connection: asyncpg.Connection[Any]
        self._forget()

    def run(self, way: Coroutine[Any, Any, Found]) -> Found:
        """Run the loop until this is done."""
        return self._runner.run(way)

    async def open(self) -> None:
        """Connect; once."""
        asyncio.get_running_loop().set_exception_handler(self._note_error)
        self.connection = await asyncpg.connect(self._dsn)
        document = parameters_document(PARAMETERS[2])
        assert await self.ledger.store("classical", document, {}, "") == 2
        # Redis then knows the script: how often it is sent does not differ between runs.
        nothing = [Settled(RawEntry("0-1", {}))]
        await Publisher(self.redis, ENGINE_GROUP).publish(Route.of_responses(SHARDS[0]), nothing)

    async def activate(self, version: int) -> None:
        """Say that other parameters count from now on."""
        await self.ledger.activate(version, "new")

    async def close(self) -> None:
        await self.connection.close()
        await self.ledger.close()
        await self.redis.aclose()

    async def clear(self) -> None:
        """Begin a run."""
        self._forget()
        await self.redis.flushdb()
        await self.connection.execute(_CLEAR)
        await self._ensure_groups()
        await self._replica.catch_up()

    async def _ensure_groups(self) -> None:
        await ensure_groups(self.redis, [(shard.responses, ENGINE_GROUP) for shard in SHARDS])

    def _forget(self) -> None:
        self.shard_count = 0
        """``STREAM_SHARDS`` of publishers, and of workers that start now."""
        self.now_s = 0.0
        """The clock of leases."""
        self._replica = Replica(self.redis)
        self._replicated = 0
        self.entries: list[Published] = []
        self.lost: set[str] = set()
        """Entries that a failover lost."""
        self.failovers = 0
        self.strays: list[Stray] = []
        self.commits = 0
        self.committed_by: dict[tuple[str, str, str], int] = {}
        """Incarnation that committed each response; none from before a failover."""
        self.published_by: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
        """By mastery stream: after each script its incarnation, and the last entry."""
        self.errors: list[str] = []
        """Errors that nobody caught."""
        self.lives: list[Incarnation] = []

    def start(self, consumer: str) -> Incarnation:
        """A worker's new life."""
        number = len(self.lives) + 1

        def committed(commit: Commit, _: Committed) -> None:
            self.commits += 1
            for response in commit.folded.responses:
                key = (*commit.folded.key, response.response_id)
                self.committed_by[key] = number

        async def published(stream: str) -> None:
            last: Any = await self.redis.xrevrange(stream, count=1)
            if last:
                self.published_by[stream].append((number, last[0][0]))

        worker = Incarnation(
            number=number,
            consumer=consumer,
            shard_count=self.shard_count,
            clock=lambda: self.now_s,
            client=self.redis,
            ledger=self.ledger,
            meter=self._meter,
            parameters=_Known(),
            strand=Strand(self.strays),
            committed=committed,
            published=published,
            released=self._handed_over,
        )
        self.lives.append(worker)
        return worker

    async def publish(self, learner: tuple[str, str], text: bytes) -> str:
        """Add an entry as a publisher does; returns its stream and id."""
        count = self.shard_count
        stream = shards(count)[shard_of(*learner, count)].responses
        entry_id: Any = await self.redis.xadd(stream, {EVENT_FIELD: text})
        return f"{stream}/{entry_id.decode()}"

    @property
    def used(self) -> list[Shard]:
        """The shards whose streams ever had an entry; the plain ones if there is none."""
        names = {entry.entry.rpartition("/")[0] for entry in self.entries}
        return [shard for shard in SHARDS if shard.responses in names] or [SHARDS[0]]

    async def last_delivered(self, stream: str) -> str:
        """The id that the group of a stream was given last."""
        info: Any = await self.redis.xinfo_groups(stream)
        return str(info[0]["last-delivered-id"].decode())

    async def drained(self) -> bool:
        """True if nothing is pending or unread, in any stream."""
        streams = [shard.responses for shard in self.used]
        return not await undrained(self.redis, streams, ENGINE_GROUP)

    # Leases -----------------------------------------------------------------------------------

    async def adjust(self, worker: Incarnation) -> None:
        """Extend a worker's leases, take streams and hand streams over."""
        self.now_s += LEASE_S / 3
        if not worker.reading.joined:
            await asyncio.sleep(_JOINED_S)
        await worker.reading.adjust()

    async def silence_passes(self, among: list[Incarnation]) -> None:
        """Wait until these workers count as dead and their leases are free."""
        self.now_s += LEASE_S
        keys = [lease_key(shard.responses) for shard in SHARDS]
        names = {worker.consumer for worker in among}
        async with self.redis.pipeline() as pipeline:
            for name in names:
                pipeline.hdel(ROSTER_KEY, name)
            pipeline.mget(keys)
            *_, holders = await pipeline.execute()
            for key, holder in zip(keys, holders, strict=True):
                if holder is not None and holder.decode() in names:
                    pipeline.delete(key)
            await pipeline.execute()

    async def _handed_over(self, stream: str, consumer: str) -> None:
        """Check that a worker that hands a stream over leaves nothing of its own."""
        left: Any = await self.redis.xpending_range(
            stream, ENGINE_GROUP, "-", "+", 10, consumername=consumer
        )
        # After a failover entries are pending again that were acknowledged before.
        if left and not self.failovers:
            self.errors.append(f"{consumer} handed {stream} over and left {left}")

    # Failovers --------------------------------------------------------------------------------

    async def catch_up(self) -> None:
        """Bring the replica in step."""
        await self._replica.catch_up()
        self._replicated = len(self.entries)

    async def fail_over(self) -> list[Published]:
        """Promote the replica; returns the entries that are lost now."""
        await self._replica.promote()
        self.failovers += 1
        lost = [entry for entry in self.entries[self._replicated :] if entry.entry not in self.lost]
        self.lost.update(entry.entry for entry in lost)
        # What comes again is committed already, and published whenever it is its turn.
        self.committed_by.clear()
        self.published_by.clear()
        return lost

    def _note_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Killed):
            self.errors.append(f"{context['message']}: {context.get('exception')!r}")
