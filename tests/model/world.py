"""The servers on which the model's workers live, and what was done to them in one run."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import asyncpg
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, EVENT_FIELD
from tests.model.incarnation import SHARD, Incarnation
from tests.model.publishing import Published
from tests.model.strand import Killed, Strand, Stray
from workers.estimation.documents import parameters_document
from workers.estimation.parameters import BktParameters, Parameters
from workers.ledger.exchange import Commit, Committed
from workers.ledger.sql.direct import DirectLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.publishing.publisher import Publisher
from workers.publishing.settled import Settled
from workers.streams.batch import RawEntry
from workers.streams.route import Route
from workers.streams.subscribers import ensure_groups

Found = TypeVar("Found")

OTHER: Final = BktParameters(0.4, 0.2, 0.15, 0.05, 0.02)
PARAMETERS: Final = {
    1: Parameters(version=1),
    2: Parameters(version=2, default=OTHER),
}
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
        await Publisher(self.redis, ENGINE_GROUP).publish(Route.of_responses(SHARD), nothing)

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
        await ensure_groups(self.redis, [(SHARD.responses, ENGINE_GROUP)])

    def _forget(self) -> None:
        self.entries: list[Published] = []
        self.strays: list[Stray] = []
        self.committed_by: dict[tuple[str, str, str], int] = {}
        """Incarnation that committed each response."""
        self.published_by: list[tuple[int, bytes]] = []
        """After each script its incarnation, and the last entry of the mastery stream."""
        self.errors: list[str] = []
        """Errors that nobody caught."""
        self.lives: list[Incarnation] = []

    def start(self, consumer: str) -> Incarnation:
        """A worker's new life."""
        number = len(self.lives) + 1

        def committed(commit: Commit, _: Committed) -> None:
            for response in commit.folded.responses:
                key = (*commit.folded.key, response.response_id)
                self.committed_by[key] = number

        async def published() -> None:
            last: Any = await self.redis.xrevrange(SHARD.mastery, count=1)
            if last:
                self.published_by.append((number, last[0][0]))

        worker = Incarnation(
            number=number,
            consumer=consumer,
            client=self.redis,
            ledger=self.ledger,
            meter=self._meter,
            parameters=_Known(),
            strand=Strand(self.strays),
            committed=committed,
            published=published,
        )
        self.lives.append(worker)
        return worker

    async def publish(self, text: bytes) -> str:
        """Add an entry as a publisher does; returns its id."""
        entry_id: Any = await self.redis.xadd(SHARD.responses, {EVENT_FIELD: text})
        return str(entry_id.decode())

    async def last_delivered(self) -> str:
        """The id that the group was given last."""
        info: Any = await self._group()
        return str(info["last-delivered-id"].decode())

    async def drained(self) -> bool:
        """True if nothing is pending or unread."""
        info: Any = await self._group()
        last: Any = await self.redis.xrevrange(SHARD.responses, count=1)
        return not info["pending"] and (not last or last[0][0] == info["last-delivered-id"])

    async def _group(self) -> Any:
        groups: Any = await self.redis.xinfo_groups(SHARD.responses)
        return groups[0]

    def _note_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Killed):
            self.errors.append(f"{context['message']}: {context.get('exception')!r}")
