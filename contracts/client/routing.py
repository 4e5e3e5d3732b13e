"""Name the stream of a learner's events, and all streams of an event type."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.cluster import RedisCluster

from contracts.envelope import CloudEvent
from contracts.mastery import MasteryChanged
from contracts.rejections import ResponseRejected
from contracts.streams import JOBS_REJECTED, MASTERY, MOST_SHARDS, REJECTED, UNLOCKED
from contracts.unlocked import ConceptUnlocked

Event = TypeVar("Event", bound=CloudEvent[Any])

DEFAULT_TENANT: Final = "default"
DEFAULT_TENANT_CLAIM: Final = "tenant_id"
_SUPABASE_TENANT: Final = "app_metadata.tenant_id"

_STREAMS: Final[Mapping[type[CloudEvent[Any]], str]] = {
    MasteryChanged: MASTERY,
    ConceptUnlocked: UNLOCKED,
    ResponseRejected: REJECTED,
}


def stream_name(stream: str, shard: int, shards: int) -> str:
    """Return the name of one shard of a stream.

    Args:
        stream: the plain name.
        shard: the shard, from 0.
        shards: the engine's ``STREAM_SHARDS``; with 0 the plain name is returned.
    """
    return f"{stream}.{{{shard}}}" if shards else stream


def stream_names(
    event: type[CloudEvent[Any]], shards: int = 0, *, cluster: bool = False
) -> list[str]:
    """List the streams that hold events of a type, one for each shard.

    Args:
        event: `MasteryChanged`, `ConceptUnlocked` or `ResponseRejected`.
        shards: the engine's ``STREAM_SHARDS``.
        cluster: True on a Redis Cluster, where rejected jobs have a stream of their own.

    Raises:
        ValueError: the engine publishes no event of this type, or `shards` is out of range.
    """
    stream = _STREAMS.get(event)
    if stream is None:
        names = ", ".join(model.__name__ for model in _STREAMS)
        raise ValueError(f"{event.__name__} can't be subscribed to: give one of {names}")
    count = checked_shards(shards, cluster=cluster)
    of_jobs = [JOBS_REJECTED] if cluster and stream == REJECTED else []
    return [*(stream_name(stream, shard, count) for shard in range(max(count, 1))), *of_jobs]


def of_cluster(client: object) -> bool:
    """Return True if a client is that of a Redis Cluster."""
    return isinstance(client, RedisCluster | AsyncRedisCluster)


def checked_shards(shards: int, *, cluster: bool = False) -> int:
    """Return a number of shards if it is one.

    Args:
        shards: the engine's ``STREAM_SHARDS``.
        cluster: True on a Redis Cluster.

    Raises:
        ValueError: it is not in 0 to 1024, or 0 on a Redis Cluster: events would go where nobody
            reads.
    """
    if cluster and not shards:
        raise ValueError(
            "shards is 0: on a Redis Cluster give the engine's STREAM_SHARDS, 1 or more, since "
            "streams under the plain names share no slot"
        )
    if not 0 <= shards <= MOST_SHARDS:
        raise ValueError(f"shards is {shards}: give the engine's STREAM_SHARDS, 0 to {MOST_SHARDS}")
    return shards


def tenant_of(claims: Mapping[str, Any], tenant_claim: str = DEFAULT_TENANT_CLAIM) -> str:
    """Return the tenant of claims, found as the engine finds it.

    Args:
        claims: the verified claims of a JWT.
        tenant_claim: the engine's ``JWT_TENANT_CLAIM``, a dotted path.

    Raises:
        TypeError: the claim is not a string; the engine would refuse the event.
    """
    for path in (tenant_claim, _SUPABASE_TENANT):
        value: Any = claims
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is None:
            continue
        if not isinstance(value, str):
            raise TypeError(f"the claim {path} is {value!r}: it must be a string")
        return value
    return DEFAULT_TENANT
