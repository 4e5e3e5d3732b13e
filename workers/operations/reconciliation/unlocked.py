"""Restore unlocked concepts in a lost graph from their published events.

An event in the stream was published; noted in the graph again, the concept is not published a
second time. The ledger does not record unlocked concepts, so those whose event is no longer in the
stream stay unknown.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

from pydantic import ValidationError
from redis.asyncio import Redis

from contracts.streams import EVENT_FIELD, shards
from contracts.unlocked import ConceptUnlocked
from workers.common.retrying import Retrying
from workers.graph.protocol import Graph
from workers.graph.unlocking import Unlocked
from workers.operations.repair.scope import Scope
from workers.streams.redis_errors import redis_errors

_PAGE: Final = 1_000
_FIELD: Final = EVENT_FIELD.encode()
_NOBODYS: Final = ""
"""Stands for no owning entry, so that no acknowledgement publishes it again."""


class UnlockedRepair:
    """Notes published concepts in the graph that are missing there.

    Args:
        client: a connection to the Redis of the streams.
        shard_count: `STREAM_SHARDS`.
        graph: the graph, prepared, with its learners.
        retrying: waits while the graph is away.
        of_redis: decides whether to wait while Redis is away.
        scope: the learners.
        dry_run: compare only.
    """

    def __init__(
        self,
        *,
        client: Redis,
        shard_count: int,
        graph: Graph,
        retrying: Retrying,
        of_redis: Retrying,
        scope: Scope,
        dry_run: bool,
    ) -> None:
        self._client = client
        self._streams = [shard.unlocked for shard in shards(shard_count)]
        self._graph = graph
        self._retrying = retrying
        self._of_redis = of_redis
        self._scope = scope
        self._dry_run = dry_run

    async def run(self) -> AsyncIterator[int]:
        """Go through the streams, and yield how many concepts of each page were missing.

        Raises:
            RedisUnavailable: Redis is not waited for; the rest was not compared.
        """
        for stream in self._streams:
            async for page in self._pages(stream):
                if page:
                    yield await self._retrying.call(
                        partial(self._graph.restore, page, dry_run=self._dry_run)
                    )

    async def _pages(self, stream: str) -> AsyncIterator[list[Unlocked]]:
        first = "-"
        while rows := await self._of_redis.call(partial(self._read, stream, first)):
            yield [
                unlocked
                for _, fields in rows
                if (unlocked := _told(fields.get(_FIELD, b""))) is not None
                and self._in_scope(unlocked)
            ]
            first = f"({rows[-1][0].decode()}"

    async def _read(self, stream: str, first: str) -> Any:
        with redis_errors():
            return await self._client.xrange(stream, min=first, count=_PAGE)

    def _in_scope(self, unlocked: Unlocked) -> bool:
        scope = self._scope
        return scope.tenant_id in {None, unlocked.tenant_id} and scope.student_id in {
            None,
            unlocked.student_id,
        }


def _told(text: bytes) -> Unlocked | None:
    try:
        event = ConceptUnlocked.model_validate_json(text)
    except ValidationError:
        return None  # not an event of ours
    data = event.data
    return Unlocked(
        data.tenant_id,
        data.student_id,
        data.concept_id,
        data.unlocked_by,
        tuple(data.prerequisites),
        event.causationid or "",
        _NOBODYS,
        data.version,
        data.at,
    )
