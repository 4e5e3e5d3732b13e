"""The deployed users of Redis on a Redis Cluster: each may do its work there."""

import hashlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from redis.cluster import RedisCluster

from contracts.client import Confirmation, Delivery, Publisher, Verdict, subscribe
from contracts.mastery import MasteryChanged
from contracts.responses import ResponseRecorded
from contracts.streams import shards
from tests.support.factories import event_json
from tests.support.redis_cluster import Cluster, redis_cluster
from workers.cli.check.redis import check_redis
from workers.config.settings import Settings
from workers.publishing.lost_owners import LostOwners
from workers.streams.connection import client_of

_PASSWORD: Final = "of-this-test-alone"
_DEPLOYED: Final = Path(__file__).parents[3] / "deploy" / "redis" / "users.acl"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster with the deployed users, all with one password, and one for the test."""
    digest = hashlib.sha256(_PASSWORD.encode()).hexdigest()
    users = [*_DEPLOYED.read_text().splitlines(), "user admin on ~* &* +@all"]
    file = tmp_path / "users.acl"
    file.write_text("".join(f"{line} #{digest}\n" for line in users if " off " not in line))
    file.write_text(file.read_text() + "user default off\n")
    login = ("--masteruser", "admin", "--masterauth", _PASSWORD)
    async with redis_cluster(
        options=("--aclfile", str(file), *login), login=("admin", _PASSWORD)
    ) as cluster:
        yield cluster


def _url(cluster: Cluster, user: str) -> str:
    return cluster.url.replace("://", f"://{user}:{_PASSWORD}@")


def _as(cluster: Cluster, user: str) -> RedisCluster:
    return RedisCluster(
        host="127.0.0.1", port=cluster.nodes[0].port, username=user, password=_PASSWORD
    )


async def test_given_the_deployed_users_on_a_cluster_then_each_does_its_work(
    guarded: Cluster,
) -> None:
    for user in ("worker", "operator"):
        settings = Settings(redis_url=_url(guarded, user), stream_shards=3, _env_file=None)
        async with client_of(_url(guarded, user)) as client:
            findings = await check_redis(client, settings)
            assert findings.problems == []
            for shard in shards(3):
                await LostOwners(client, kept_s=60).losses(shard.responses)
    event = ResponseRecorded.model_validate_json(event_json())
    with _as(guarded, "express") as redis:
        published = Publisher(redis, shards=3, confirmation=Confirmation(timeout_s=2)).publish(
            event
        )
        assert published.stream in {shard.responses for shard in shards(3)}

    stop, failures = threading.Event(), []

    def note(_: MasteryChanged, delivery: Delivery) -> None:
        failures.append(delivery)

    for shard in shards(3):
        async with client_of(_url(guarded, "worker")) as client:
            await client.xadd(shard.mastery, {"event": "no JSON"})
    with _as(guarded, "consumer") as redis:
        subscribe(
            redis, MasteryChanged, group="g", consumer="c", start_at="0", shards=3, stop=stop,
            handle=note, on_failure=lambda failure: _dropped(failure.delivery, failures, stop),
        )  # fmt: skip
    assert {delivery.stream for delivery in failures} == {shard.mastery for shard in shards(3)}


def _dropped(delivery: Delivery, failures: list[Delivery], stop: threading.Event) -> Verdict:
    failures.append(delivery)
    if len(failures) == 3:
        stop.set()
    return "drop"
