"""Check Redis: version, durability, clock, keys and the rights of its user."""

from dataclasses import astuple
from typing import Any, Final

from redis.asyncio import Redis

from contracts.streams import shards
from workers.cli.check.cluster import cluster_risks, infos_of_masters, unread_streams
from workers.cli.check.findings import Findings, clock_warning, older
from workers.common.errors import ClocksDiffer
from workers.config.settings import Settings
from workers.streams.redis_clock import RedisClock, redis_now_ms
from workers.streams.redis_errors import redis_errors
from workers.streams.rights import missing_rights

_LEAST: Final = (6, 2)
_NODE: Final = (
    "it is a node of a Redis Cluster: let REDIS_URL begin with redis+cluster:// and set "
    "STREAM_SHARDS to 1 or more"
)
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
    findings = Findings()
    strict = settings.environment != "development"
    if settings.redis_cluster:
        infos = await infos_of_masters(client)
        for text in cluster_risks(client):
            findings.add(text, problem=strict)
        findings.problems += await unread_streams(client, settings.stream_shards)
    else:
        with redis_errors():
            infos = {"": dict(await client.info())}
        if infos[""].get("cluster_enabled"):
            return Findings(problems=[_NODE])
    for name, info in infos.items():
        _check_server(name, info, settings, findings)
    versions = ", ".join(sorted({_version(info) for info in infos.values()}))
    findings.summary = f"Redis {versions}"
    if settings.redis_cluster:
        findings.summary += f", a cluster of {len(infos)} masters"
    await _check_clock(client, findings)
    findings.problems += await _wrong_types(client, settings.stream_shards)
    return findings


async def _ping(client: Redis) -> None:
    answer: Any = client.ping()
    await answer


def _version(info: dict[str, Any]) -> str:
    return str(info.get("redis_version", "unknown"))


def _check_server(name: str, info: dict[str, Any], settings: Settings, findings: Findings) -> None:
    """Check one server.

    Args:
        name: the address of a master of a cluster; empty for the only server.
        info: what it tells of itself.
        settings: the settings.
        findings: where to add.
    """
    where = f"{name}: " if name else ""
    version = _version(info)
    if older(version, _LEAST):
        findings.problems.append(f"{where}Redis {version} is too old: install 6.2 or newer")
    for text in _risks(info):
        findings.add(where + text, problem=settings.environment != "development")


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
