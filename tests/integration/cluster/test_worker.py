"""The main job on a Redis Cluster: worker processes, plain XADD, Postgres."""

import random

import pytest
from redis.asyncio import Redis

from contracts.streams import JOBS, JOBS_REJECTED, shards
from tests.support.redis_cluster import Cluster
from tests.support.run_results import events_differences, run_results, stored_mastery
from tests.support.whole_run import Setting, drain, publish, simulated_rows

SHARDS = 3

pytestmark = pytest.mark.servers


async def test_given_a_cluster_and_two_workers_then_each_response_counts_once(
    cluster: Cluster, client: Redis, database_url: str
) -> None:
    setting = Setting(cluster.url, {"DATABASE_URL": database_url}, database_url)
    rows = simulated_rows(600, 30, seed=7)
    published = rows + random.Random(8).sample(rows, 200)
    await publish(cluster.url, published, shard_count=SHARDS)
    await client.xadd(JOBS, {"event": "no JSON"})

    drain(setting, roles=("engine", "jobs"), workers=2, STREAM_SHARDS=str(SHARDS))

    result = await run_results(setting, rows, tolerance=1e-12, among=shards(SHARDS))
    assert result.differences == []
    assert result.pending == 0
    assert result.rejected == {}
    assert await client.xlen(JOBS_REJECTED) == 1
    assert events_differences(result, rows, await stored_mastery(database_url)) == []
