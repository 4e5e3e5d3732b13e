"""The npm package of the contracts: compiled strictly, and tried on a real Redis by Node."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from contracts.jobs import JobRequested
from contracts.streams import JOBS, REJECTED, RESPONSES, shards
from tests.security.guarded_redis import GuardedRedis, guarded_redis
from tests.support.redis_cluster import redis_cluster
from tests.support.servers import server_variables
from tests.support.typescript_package import TYPESCRIPT_PACKAGE, version_parts
from tests.support.whole_run import MASTERY_COMMAND, Setting

_ROOT = Path(__file__).parents[2]
_SHARDS = 2
_LINES = ("20", "22", "26")
_WITH_A_WORKER = "round-trip"
_ON_A_CLUSTER = "cluster"


def _run_tests(package: Path, *names: str, node: str = "node", **environment: str) -> str:
    """Run tests of the package; returns what they said, once all have passed."""
    done = subprocess.run(
        [
            node,
            *("--test", "--test-concurrency=1", "--test-timeout=120000", "--test-reporter=tap"),
            *(f"build/test/{name}.test.js" for name in names),
        ],
        check=False,
        cwd=package,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# skipped 0\n" in done.stdout, done.stdout
    return done.stdout


@pytest.mark.parametrize("line", _LINES)
def test_given_a_supported_node_then_all_tests_of_the_package_pass(
    package: Path, line: str, redis_url: str, empty_database_url: str
) -> None:
    (nodes,) = server_variables("TEST_NODES")
    versions = {_version(node): node for node in nodes.split(":")}
    wanted = json.loads((TYPESCRIPT_PACKAGE / "package.json").read_text())["engines"]["node"]
    assert min(versions)[:2] == version_parts(wanted), "the oldest supported Node is not tested"
    assert {version[0] for version in versions} == {int(line) for line in _LINES}
    (node,) = (node for version, node in versions.items() if version[0] == int(line))
    names = {
        file.name.removesuffix(".test.ts")
        for file in (TYPESCRIPT_PACKAGE / "test").glob("*.test.ts")
    }

    said = _run_tests(
        package,
        *sorted(names - {_WITH_A_WORKER, _ON_A_CLUSTER}),
        node=node,
        TEST_REDIS_URL=redis_url,
        TEST_DATABASE_URL=empty_database_url,
    )

    assert "what a killed subscriber was given is claimed by another" in said


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], check=True, capture_output=True, text=True)
    return version_parts(said.stdout)


async def test_given_a_cluster_then_the_package_finds_and_confirms_each_entry(
    package: Path, redis_url: str
) -> None:
    async with redis_cluster() as cluster:
        await asyncio.to_thread(
            _run_tests,
            package,
            _ON_A_CLUSTER,
            TEST_REDIS_URL=redis_url,
            TEST_REDIS_CLUSTER=",".join(node.address for node in cluster.nodes[:2]),
        )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GuardedRedis]:
    """A Redis with the deployed users."""
    with guarded_redis(tmp_path) as started:
        yield started


def test_given_answers_of_the_package_then_a_worker_returns_their_mastery(
    package: Path, server: GuardedRedis, database_url: str
) -> None:
    setting = Setting(server.url("worker"), {"DATABASE_URL": database_url}, database_url)

    _run_tests(
        package,
        "round-trip",
        **setting.environment(STREAM_SHARDS=f"{_SHARDS}"),
        WORKER=MASTERY_COMMAND,
        PUBLISHER_REDIS_URL=server.url("express"),
        FOLLOWER_REDIS_URL=server.url("subscriber"),
        SUBSCRIBER_REDIS_URL=server.url("consumer"),
    )

    with Redis.from_url(server.url()) as admin:
        assert not admin.exists(RESPONSES)
        assert not admin.exists(REJECTED)
        for shard in shards(_SHARDS):
            # Each learner is where the engine expects them: both shards are in use.
            assert admin.xlen(shard.mastery) > 0
            assert not admin.exists(shard.rejected)
        entries: Any = admin.xrange(JOBS)
    # The engine's own role leaves it to that of jobs.
    ((_, fields),) = entries
    assert JobRequested.model_validate_json(fields[b"event"]).data.kind == "verify"
