"""Check Redis: version, durability, clock, keys and the rights of its user."""

from dataclasses import astuple
from typing import Any, Final

from redis.asyncio import Redis

from contracts.streams import shards
from workers.cli.check.findings import Findings, clock_warning, older
from workers.common.errors import ClocksDiffer
from workers.config.settings import Settings
from workers.streams.redis_clock import RedisClock, redis_now_ms
from workers.streams.redis_errors import redis_errors
from workers.streams.rights import missing_rights

_LEAST: Final = (6, 2)
_ACL: Final = "docs/redis-acl.md has users that are ready to use"


async def check_redis(client: Redis, settings: Settings) -> Findings:
    """Check the Redis of the streams.

    Raises:
        RedisUnavailable: it is away.
        StreamRefused: it refuses us.
    """
    if settings.redis_url is None:
        with redis_errors():
            await _ping(client)
        return Findings("Redis, embedded")
    missing = await missing_rights(client, settings.stream_shards)
    if missing:
        listed = ", ".join(missing)
        return Findings(problems=[f"its user lacks rights: {listed}; grant them ({_ACL})"])
    with redis_errors():
        info: Any = await client.info()
    version = str(info.get("redis_version", "unknown"))
    findings = Findings(f"Redis {version}")
    if older(version, _LEAST):
        findings.problems.append(f"Redis {version} is too old: install 6.2 or newer")
    strict = settings.environment != "development"
    for text in _risks(info):
        findings.add(text, problem=strict)
    await _check_clock(client, findings)
    findings.problems += await _wrong_types(client, settings.stream_shards)
    return findings


async def _ping(client: Redis) -> None:
    answer: Any = client.ping()
    await answer


def _risks(info: dict[str, Any]) -> list[str]:
    """List how this server may lose entries that nobody has processed."""
    risks = []
    policy = info.get("maxmemory_policy")
    if policy not in {None, "noeviction"}:
        risks.append(
            f"maxmemory-policy is {policy}: a full Redis would delete unprocessed entries; set "
            "maxmemory-policy noeviction"
        )
    if info.get("aof_enabled") == 0:
        risks.append(
            "AOF is off: a restart loses entries since the last snapshot; set appendonly yes"
        )
    return risks


async def _check_clock(client: Redis, findings: Findings) -> None:
    try:
        await RedisClock(client).check()
    except ClocksDiffer as error:
        findings.problems.append(error.reason)
        return
    warning = await clock_warning("Redis", lambda: _now_s(client))
    findings.warnings += [] if warning is None else [warning]


async def _now_s(client: Redis) -> float:
    return await redis_now_ms(client) / 1000


async def _wrong_types(client: Redis, shard_count: int) -> list[str]:
    wrong = []
    with redis_errors():
        for shard in shards(shard_count):
            for stream in astuple(shard):
                kind: Any = await client.type(stream)
                if kind not in (b"none", b"stream"):
                    wrong.append(f"the key {stream} is a {kind.decode()}, no stream: rename it")
    return wrong
