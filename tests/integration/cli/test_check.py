"""`mastery check` against servers that are away, unsafe or guarded."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from tests.security.guarded_redis import GuardedRedis, guarded_redis
from workers.cli.check.redis import check_redis
from workers.cli.main import app
from workers.config.settings import Environment, Settings

_FOREIGN = ("REDIS_", "DATABASE_URL", "SUPABASE_", "NEO4J_", "JWT_", "ENVIRONMENT", "TEST_")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedRedis]:
    with guarded_redis(tmp_path_factory.mktemp("redis")) as started:
        yield started


def _settings(url: str, environment: Environment = "development") -> Settings:
    return Settings(redis_url=url, environment=environment, _env_file=None)


@pytest.mark.parametrize("shards", [0, 3])
@pytest.mark.parametrize("user", ["worker", "operator"])
async def test_given_a_deployed_user_then_no_right_is_missing(
    server: GuardedRedis, user: str, shards: int
) -> None:
    settings = _settings(server.url(user)).model_copy(update={"stream_shards": shards})
    async with Redis.from_url(server.url(user)) as client:
        findings = await check_redis(client, settings)
    assert findings.problems == []
    assert server.client().dbsize() == 0


@pytest.mark.parametrize(
    ("user", "missing"),
    [
        ("express", ["XREADGROUP on practice.responses.v1", "XADD on practice.mastery.v1", "INFO"]),
        ("subscriber", ["XTRIM on practice.responses.v1", "EVAL", "PUBLISH on job_progress:"]),
    ],
)
def test_given_a_user_of_others_then_the_missing_rights_are_named(
    server: GuardedRedis, user: str, missing: list[str], check: "Check"
) -> None:
    done = check(REDIS_URL=server.url(user))
    assert done.exit_code == 1
    assert f"redis://{user}:***@127.0.0.1" in done.stdout
    assert server.passwords[user] not in done.stdout
    for right in missing:
        assert right in done.stdout


class Check:
    """Runs `mastery check` with these settings alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, **settings: str) -> Result:
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, ["check"])


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Check:
    import os

    for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Check(monkeypatch)


@pytest.mark.parametrize("environment", ["development", "staging"])
@pytest.mark.parametrize(
    ("policy", "aof", "said"),
    [
        ("noeviction", "yes", []),
        ("allkeys-lru", "yes", ["maxmemory-policy is allkeys-lru"]),
        ("noeviction", "no", ["AOF is off"]),
        ("volatile-ttl", "no", ["maxmemory-policy is volatile-ttl", "AOF is off"]),
    ],
)
async def test_given_a_redis_that_may_lose_entries_then_it_is_told(
    server: GuardedRedis, policy: str, aof: str, said: list[str], environment: Environment
) -> None:
    async with Redis.from_url(server.url()) as admin:
        configure: Any = admin.config_set
        await configure("maxmemory-policy", policy)
        await configure("appendonly", aof)
        findings = await check_redis(admin, _settings(server.url(), environment))
        await configure("appendonly", "no")
    found, none = (
        (findings.warnings, findings.problems)
        if environment == "development"
        else (findings.problems, findings.warnings)
    )
    assert none == []
    assert len(found) == len(said)
    for text, part in zip(found, said, strict=True):
        assert part in text


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_given_servers_away_then_each_url_and_its_setting_are_shown(check: Check) -> None:
    port = _closed_port()
    done = check(
        REDIS_URL=f"redis://worker:s3cret@127.0.0.1:{port}/0",
        DATABASE_URL=f"postgresql://me:s3cret@127.0.0.1:{port}/postgres",
        NEO4J_URI=f"bolt://127.0.0.1:{port}",
        NEO4J_PASSWORD="s3cret",
        REDIS_URI="redis://typo",
    )
    assert done.exit_code == 1
    assert "s3cret" not in done.output
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "settings  warning: REDIS_URI in the environment is not a setting: did you mean REDIS_URL?"
    )
    for line, name, shown, variable in (
        (lines[2], "redis", f"redis://worker:***@127.0.0.1:{port}/0", "REDIS_URL"),
        (lines[3], "ledger", f"postgresql://me:***@127.0.0.1:{port}/postgres", "DATABASE_URL"),
        (lines[4], "graph", f"bolt://127.0.0.1:{port}", "NEO4J_URI"),
    ):
        assert line.startswith(f"{name:<9} failed: ")
        assert f"tried {shown} ({variable})" in line


def test_given_embedded_servers_then_all_is_well(check: Check) -> None:
    done = check()
    assert (done.exit_code, done.stdout.splitlines()) == (
        0,
        [
            "settings  ok",
            "redis     ok: Redis, embedded",
            "ledger    ok: Postgres, embedded, parameters version 1",
            "graph     ok: graph, embedded",
        ],
    )
