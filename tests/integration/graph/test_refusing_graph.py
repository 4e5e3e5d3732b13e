"""A worker beside a Neo4j that refuses its statements: it ends with the reason."""

import asyncio

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from contracts.streams import GRAPH_GROUP, MASTERY
from tests.support.graph_events import mastery_changed
from tests.support.servers import Neo4j
from workers.app.worker import Role, running_worker
from workers.common.errors import GraphRefused
from workers.config.settings import Settings


@pytest.mark.parametrize("burst", [False, True])
async def test_given_a_wrong_neo4j_database_then_the_worker_ends_with_it(
    redis_url: str, database_url: str, neo4j: Neo4j, burst: bool
) -> None:
    settings = Settings(
        redis_url=redis_url,
        database_url=SecretStr(database_url),
        neo4j_uri=neo4j.uri,
        neo4j_username=neo4j.username,
        neo4j_password=SecretStr(neo4j.password),
        neo4j_database="nosuchdatabase",
        batch_size=1,
    )
    async with Redis.from_url(redis_url) as redis:
        for number in range(3):
            event = mastery_changed(f"student-{number}").model_dump_json()
            await redis.xadd(MASTERY, {"event": event})

        async with running_worker(settings, [Role.ENGINE, Role.GRAPH], http=False) as (worker, _):
            async with asyncio.timeout(30):
                with pytest.raises(GraphRefused, match="NEO4J_DATABASE"):
                    await worker.run(burst=burst)

        assert (await redis.xpending(MASTERY, GRAPH_GROUP))["pending"] == 3
