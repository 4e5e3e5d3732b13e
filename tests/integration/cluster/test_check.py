"""`mastery check` on a Redis Cluster."""

from redis.asyncio import Redis

from contracts.streams import RESPONSES
from tests.support.redis_cluster import Cluster
from workers.cli.check.redis import check_redis
from workers.config.settings import Settings
from workers.streams.connection import client_of


def _settings(url: str, shards: int = 3) -> Settings:
    return Settings(redis_url=url, stream_shards=shards, _env_file=None)


async def test_given_a_whole_cluster_when_checked_then_nothing_is_wrong(
    cluster: Cluster, client: Redis
) -> None:
    findings = await check_redis(client, _settings(cluster.url))
    assert findings.problems == []
    assert findings.summary.endswith("a cluster of 3 masters")


async def test_given_a_publisher_without_shards_then_its_stream_is_named(
    cluster: Cluster, client: Redis
) -> None:
    await client.xadd(RESPONSES, {"event": "{}"})
    findings = await check_redis(client, _settings(cluster.url))
    (problem,) = findings.problems
    assert problem.startswith(f"{RESPONSES} has 1 entries that nobody reads")


async def test_given_a_plain_url_of_a_node_then_the_right_one_is_told(cluster: Cluster) -> None:
    url = f"redis://127.0.0.1:{cluster.nodes[0].port}"
    async with client_of(url) as client:
        findings = await check_redis(client, _settings(url, shards=0))
    assert any("redis+cluster://" in problem for problem in findings.problems)
