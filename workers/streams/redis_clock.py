"""Redis's clock, whose milliseconds begin each entry id."""

import time
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis

from workers.common.errors import ClocksDiffer
from workers.streams.cluster.client import node_times_ms, on_cluster
from workers.streams.redis_errors import redis_errors

_MASTERS_EVERY_S: Final = 5.0
_ANSWER_S: Final = 0.5
"""Longest wait for the time of a master."""
BOUND_S: Final = 60.0
"""Largest difference between Redis's clock and a worker's at which events are judged, seconds."""


async def redis_now_ms(client: Redis) -> int:
    """Return Redis's time in milliseconds since 1970, rounded down as in entry ids.

    Raises:
        RedisUnavailable: try again.
    """
    with redis_errors():
        seconds, microseconds = await _time(client)
    return int(seconds) * 1000 + int(microseconds) // 1000


async def latest_ms(client: Redis) -> int:
    """Return the time of the server whose clock is ahead of the others', as `redis_now_ms` does.

    Raises:
        RedisUnavailable: a master of the Redis Cluster is away.
    """
    if not on_cluster(client):
        return await redis_now_ms(client)
    times = await node_times_ms(client, within_s=_ANSWER_S)
    for time_ms in times.values():
        if isinstance(time_ms, BaseException):
            with redis_errors():
                raise time_ms
    return max(time_ms for time_ms in times.values() if isinstance(time_ms, int))


async def _time(client: Redis) -> Any:
    return await client.time()


class RedisClock:
    """Redis's clock, watched by this worker's own.

    Redis's clock decides. The other clock decides nothing: while the two differ too much, one of
    them is wrong, and whatever depends on the time has to wait.

    Args:
        client: a connection to the Redis of the streams.
        own: this worker's clock, seconds since 1970.
        bound_s: largest difference, seconds.
    """

    def __init__(
        self, client: Redis, *, own: Callable[[], float] = time.time, bound_s: float = BOUND_S
    ) -> None:
        self._client = client
        self._own = own
        self._bound_s = bound_s
        self._masters_due_s = float("-inf")

    async def now_ms(self) -> int:
        """Return Redis's time, milliseconds since 1970.

        Raises:
            RedisUnavailable: try again.
            ClocksDiffer: try again; Redis's clock and this worker's differ by more than the bound.
        """
        before_s = self._own()
        now_ms = await redis_now_ms(self._client)
        after_s = self._own()
        self._compare(now_ms, before_s, after_s)
        if on_cluster(self._client) and time.monotonic() >= self._masters_due_s:
            await self._compare_masters()
            self._masters_due_s = time.monotonic() + _MASTERS_EVERY_S
        return now_ms

    async def _compare_masters(self) -> None:
        """Compare the clock of each master, which gives the ids of its entries.

        A master that does not answer is left out: nothing is read from it either.
        """
        before_s = self._own()
        times = await node_times_ms(self._client, within_s=_ANSWER_S)
        after_s = self._own()
        for now_ms in times.values():
            if isinstance(now_ms, int):
                self._compare(now_ms, before_s, after_s)

    def _compare(self, now_ms: int, before_s: float, after_s: float) -> None:
        # The answer took a while: Redis read its clock at some time in between.
        for way, seconds in (
            ("ahead of", now_ms / 1000 - after_s),
            ("behind", before_s - now_ms / 1000),
        ):
            if seconds > self._bound_s:
                raise ClocksDiffer(
                    f"redis's clock is {seconds:.0f} s {way} this worker's, more than "
                    f"{self._bound_s:.0f} s: set the wrong one; nothing is read until they agree"
                )

    async def check(self) -> None:
        """Return if the two clocks agree.

        Raises:
            RedisUnavailable: Redis does not give the time.
            ClocksDiffer: they differ by more than the bound.
        """
        await self.now_ms()
