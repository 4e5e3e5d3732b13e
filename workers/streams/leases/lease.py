"""The lease of one stream: its holder is the only one who reads the stream."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError

from workers.common.errors import RedisUnavailable
from workers.streams.redis_errors import redis_errors

TTL_S: Final = 3.5
"""Time after which a lease that nobody extends is free, seconds."""
_EXTENSIONS: Final = 4
"""Extensions within that time."""
ANSWER_S: Final = 1.0
"""Longest wait for an answer of Redis; a longer one would hide that leases run out, seconds."""

Answer = TypeVar("Answer")


def lease_key(stream: str) -> str:
    """Return the key of the lease of a stream, in the stream's slot."""
    return f"{stream}:lease"


async def answered(call: Awaitable[Answer]) -> Answer:
    """Await a call of redis-py, but no longer than `ANSWER_S`.

    Raises:
        RedisUnavailable: Redis is away or does not answer in time.
        StreamRefused: Redis refuses the command.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            with redis_errors():
                return await call
    except TimeoutError as error:
        raise RedisUnavailable(f"no answer within {ANSWER_S:g} s") from error


class Lease:
    """A lock in Redis that ends by itself unless it is extended.

    It spares work and proves nothing: a holder that was slow may read on for a moment beside the
    next one. The comparison of versions in the commit keeps the states right.

    Args:
        client: a connection to the Redis of the streams.
        stream: the stream.
        holder: name of this worker. A lease under this name belongs to no other live process, so
            a restarted worker continues the lease of its predecessor.
        ttl_s: time for which the lease is valid after it was acquired or extended, seconds.
        clock: a monotonic clock, seconds.
    """

    def __init__(
        self,
        client: Redis,
        stream: str,
        holder: str,
        *,
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = Lock(client, lease_key(stream), timeout=ttl_s, thread_local=False)
        self._token = holder.encode()
        self._ttl_s = ttl_s
        self._clock = clock
        self._asked = float("-inf")

    @property
    def expired(self) -> bool:
        """True if the time of the lease has passed without an answer to an extension."""
        return self._clock() >= self._asked + self._ttl_s

    async def acquire(self) -> bool:
        """Take the lease if it is free or a predecessor's; return True if it is held now.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: permission is missing.
        """
        asked = self._clock()
        if not await answered(self._lock.acquire(blocking=False, token=self._token)):
            self._lock.local.token = self._token
            if not await answered(_owned(self._lock.reacquire())):
                return False
        self._asked = asked
        return True

    async def extend(self) -> bool:
        """Extend the lease if it is due; return False if the lease is lost.

        Raises:
            RedisUnavailable: try again; see `expired`.
            StreamRefused: permission is missing.
        """
        asked = self._clock()
        if asked < self._asked + self._ttl_s / _EXTENSIONS:
            return True
        if not await answered(_owned(self._lock.reacquire())):
            return False
        self._asked = asked
        return True

    async def release(self) -> None:
        """Give the lease back; without effect if it is lost.

        Raises:
            RedisUnavailable: the lease ends by itself.
            StreamRefused: permission is missing.
        """
        await answered(_owned(self._lock.release()))


async def _owned(call: Awaitable[object]) -> bool:
    """Await a call on a lock; return False if somebody else has the lock, or nobody."""
    try:
        await call
    except LockError:
        return False
    return True
