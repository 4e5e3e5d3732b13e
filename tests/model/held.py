"""A worker's collaborators, real ones, whose calls can be held and end with the worker."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from contracts.streams import ENGINE_GROUP
from tests.model.strand import Point, Strand
from workers.ledger.exchange import MOST_ANSWERS, Commit, Committed, Conflict, Loaded, Touched
from workers.ledger.sql.direct import DirectLedger
from workers.ledger.sql.ledger import SqlLedger
from workers.publishing.publisher import Publisher
from workers.publishing.settled import Settled
from workers.streams.route import Route


class HeldLedger(SqlLedger):
    """A ledger whose load and commit can be held.

    Args:
        inner: the real one; its connections are the world's.
        strand: of the incarnation.
        committed: told of each commit that was applied.
    """

    def __init__(
        self,
        inner: DirectLedger,
        strand: Strand,
        committed: Callable[[Commit, Committed], None],
    ) -> None:
        self._inner = inner
        self._strand = strand
        self._committed = committed

    async def load(
        self, touched: Sequence[Touched], most_answers: int = MOST_ANSWERS
    ) -> list[Loaded]:
        return await self._strand.call(
            Point.LOAD, lambda: self._inner.load(touched, most_answers), None
        )

    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Conflict]:
        async def call() -> list[Committed | Conflict]:
            answers = await self._inner.commit(commits)
            for commit, answer in zip(commits, answers, strict=True):
                if isinstance(answer, Committed):
                    self._committed(commit, answer)
            return answers

        return await self._strand.call(Point.COMMIT, call, Point.COMMITTED)

    async def close(self) -> None:
        """Nothing: the connections are not its own."""

    async def _call(self, function: str, document: dict[str, Any]) -> Any:
        return await self._strand.effect(lambda: self._inner._call(function, document))


class HeldPublisher(Publisher):
    """A publisher whose script can be held before it and after it.

    Args:
        client: the world's own, which no strand ends: what the strand lets through arrives.
        strand: of the incarnation.
        published: awaited after each script, with what it was given.
    """

    def __init__(
        self,
        client: Redis,
        strand: Strand,
        published: Callable[[Route, Sequence[Settled]], Awaitable[None]],
    ) -> None:
        super().__init__(client, ENGINE_GROUP)
        self._strand = strand
        self._published = published

    async def publish(self, route: Route, settled: Sequence[Settled]) -> int:
        async def call() -> int:
            acknowledged = await super(HeldPublisher, self).publish(route, settled)
            await self._published(route, settled)
            return acknowledged

        return await self._strand.call(Point.PUBLISH, call, Point.PUBLISHED)


class MortalRedis(Redis):
    """A client whose commands end with the incarnation."""

    strand: Strand

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        return await self.strand.effect(
            lambda: super(MortalRedis, self).execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py's
        )

    def pipeline(
        self, transaction: bool = True, shard_hint: str | None = None
    ) -> Pipeline:  # redis-py's signature
        made = MortalPipeline(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        )
        made.strand = self.strand
        return made


class MortalPipeline(Pipeline):
    """A pipeline of such a client."""

    strand: Strand

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # redis-py's signature
        return await self.strand.effect(lambda: super(MortalPipeline, self).execute(raise_on_error))
