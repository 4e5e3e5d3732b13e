"""Bringing back what a lost graph knew of unlocked concepts, from the events that told of them.

What is in the stream was told: noted in the graph again, it is not told a second time. The ledger
knows nothing of it, so what the stream does not keep any more stays unknown.
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
"""In place of the entry that owns it: no acknowledgement publishes it again."""


class UnlockedRepair:
    """Notes in the graph what was told and is not noted there.

    Args:
        client: a connection to the Redis of the streams.
        shard_count: `STREAM_SHARDS`.
        graph: prepared, with its learners.
        retrying: waits for the graph where it is away.
        of_redis: waits for Redis where that is away, or does not.
        scope: whose.
        dry_run: only look.
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
        """Go through the streams page by page; of each how many were not noted.

        Raises:
            RedisUnavailable: it is not waited for, and of the rest nothing is known.
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
                one
                for _, fields in rows
                if (one := _told(fields.get(_FIELD, b""))) is not None and self._in_scope(one)
            ]
            first = f"({rows[-1][0].decode()}"

    async def _read(self, stream: str, first: str) -> Any:
        with redis_errors():
            return await self._client.xrange(stream, min=first, count=_PAGE)

    def _in_scope(self, one: Unlocked) -> bool:
        scope = self._scope
        return scope.tenant_id in {None, one.tenant_id} and scope.student_id in {
            None,
            one.student_id,
        }


def _told(text: bytes) -> Unlocked | None:
    try:
        event = ConceptUnlocked.model_validate_json(text)
    except ValidationError:
        return None  # nobody of ours wrote it
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
