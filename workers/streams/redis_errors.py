"""Map the errors of redis-py to ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions as redis

from workers.common.errors import RedisUnavailable, StreamRefused

LIBRARY_ERRORS: tuple[type[Exception], ...] = (
    redis.RedisError,
    redis.RedisClusterException,
    redis.ChildDeadlockedError,
    redis.IncorrectPolicyType,
    OSError,
)
"""All errors that redis-py raises; it lets `OSError` through while it connects."""

# Subclasses of the errors below: waiting cures none of them.
_REFUSED = (redis.AuthenticationError, redis.AuthorizationError)
_UNAVAILABLE = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.ClusterError,
    redis.TryAgainError,
    redis.AskError,
    redis.SlotNotCoveredError,
    redis.ReadOnlyError,
    redis.OutOfMemoryError,
    redis.WatchError,
    redis.LockError,
    redis.ChildDeadlockedError,
    OSError,
)
# First words of replies that redis-py passes on as a plain `ResponseError`.
_PASSING = frozenset(
    ("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY",
     "TRYAGAIN", "UNBLOCKED", "UNKILLABLE")
)  # fmt: skip


def from_redis(error: Exception) -> RedisUnavailable | StreamRefused:
    """Convert an error of redis-py to ours.

    A server that is full, read-only, loading, failing over or running a long script is
    unavailable. A wrong type of key, or a missing command, group or permission, is a refusal.
    """
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, _REFUSED):
        return StreamRefused(f"redis refuses us: {reason}; check user and password in REDIS_URL")
    if isinstance(error, redis.NoPermissionError):
        return StreamRefused(f"redis refuses us: {reason}; grant its user that command and key")
    if isinstance(error, redis.MovedError):
        # The client of a cluster follows it by itself.
        reason += "; if REDIS_URL is a node of a Redis Cluster, it must begin with redis+cluster://"
    if isinstance(error, _UNAVAILABLE) or isinstance(error.__cause__, _UNAVAILABLE):
        return RedisUnavailable(reason)
    if "Cluster mode is not enabled" in reason:
        return StreamRefused("redis is no Redis Cluster: let REDIS_URL begin with redis://")
    words = str(error).split(maxsplit=1)
    if isinstance(error, redis.ResponseError) and words and words[0] in _PASSING:
        return RedisUnavailable(reason)
    return StreamRefused(f"redis refuses a command: {reason}")


def group_is_missing(error: BaseException) -> bool:
    """Return True if Redis answered NOGROUP: the stream or its group is missing.

    Args:
        error: an error of redis-py, or one of ours raised from it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, redis.ResponseError) and str(cause).startswith("NOGROUP"):
            return True
        cause = cause.__cause__
    return False


@contextmanager
def redis_errors() -> Iterator[None]:
    """Convert errors of redis-py raised inside the block.

    Raises:
        RedisUnavailable: Redis is away or can't serve us now.
        StreamRefused: Redis answers, but refuses.
    """
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise from_redis(error) from error
