"""The known keys of an issuer, fetched again when needed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from redis.asyncio import Redis

from workers.common.errors import KeysUnavailable, StreamRefused, Unavailable
from workers.common.jitter import jittered_sleep
from workers.identity.history import KeyHistory
from workers.identity.keys import Key, KeySet
from workers.streams.redis_clock import redis_now_ms

_log = structlog.get_logger(__name__)

REFRESH_S: Final = 300.0
"""Longest time until a key that the issuer removed is retired, seconds."""
_SPACING_S: Final = 1.0
_LONGEST_WAIT_S: Final = 30.0


class KeyRing:
    """Keep the issuer's keys up to date.

    Concurrent callers that need a newer set share one fetch, and fetches are at least a second
    apart, so that forged key ids cause no load.

    Args:
        client: a connection to Redis, whose clock dates fetches.
        history: the known keys, shared with other processes.
        fetch: fetches the set; raises `KeysUnavailable`.
        refresh_s: the longest time between two fetches, seconds.
        spacing_s: the shortest time between two fetches, seconds.
        clock: a monotonic clock, seconds.
    """

    def __init__(
        self,
        *,
        client: Redis,
        history: KeyHistory,
        fetch: Callable[[], Awaitable[tuple[Key, ...]]],
        refresh_s: float = REFRESH_S,
        spacing_s: float = _SPACING_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._history = history
        self._fetch = fetch
        self._refresh_s = refresh_s
        self._spacing_s = spacing_s
        self._clock = clock
        self._keys = KeySet()
        self._turn = asyncio.Lock()
        self._tried: float | None = None
        self._failure: KeysUnavailable | None = None

    @property
    def keys(self) -> KeySet:
        """Return the keys known now; an outage removes none."""
        return self._keys

    @property
    def away(self) -> str | None:
        """Return the reason why the newest fetch failed; None if it succeeded."""
        return None if self._failure is None else self._failure.reason

    async def known(self) -> None:
        """Wait until any key is known, possibly from an earlier process.

        Raises:
            KeysUnavailable: no key is known, and the set can't be fetched.
            RedisUnavailable: try again.
        """
        if self._keys.keys:
            return
        async with self._turn:
            if not self._keys.keys:
                self._keys = await self._history.merge()
        if not self._keys.keys:
            await self.refresh()

    async def newer_than(self, moment_ms: int) -> KeySet:
        """Return a key set fetched after a past moment of Redis's clock, milliseconds since 1970.

        Raises:
            KeysUnavailable: the set can't be fetched; the keys known before stay.
            RedisUnavailable: try again.
        """
        while not self._keys.newer_than(moment_ms):
            async with self._turn:
                if self._keys.newer_than(moment_ms):
                    break
                left_s = self._left_s()
                if left_s > 0 and self._failure is not None:
                    raise KeysUnavailable(self._failure.reason)
                await asyncio.sleep(left_s)
                await self._fetch_now()
        return self._keys

    async def refresh(self) -> None:
        """Fetch the set, unless a fetch was tried within the last second.

        Raises:
            KeysUnavailable: the set can't be fetched; the keys known before stay.
            RedisUnavailable: try again.
        """
        async with self._turn:
            if self._left_s() > 0:
                if self._failure is not None:
                    raise KeysUnavailable(self._failure.reason)
                return
            await self._fetch_now()

    async def run(self) -> None:
        """Refresh the keys until cancelled, so that removed keys retire."""
        wait_s = self._spacing_s
        while True:
            try:
                await self.known()
                await self.refresh()
            except (Unavailable, StreamRefused):
                pause_s = wait_s = min(2 * wait_s, _LONGEST_WAIT_S, self._refresh_s)
            else:
                pause_s, wait_s = self._refresh_s, self._spacing_s
            await jittered_sleep(pause_s)

    def _left_s(self) -> float:
        """Return the seconds until the next fetch is allowed."""
        if self._tried is None:
            return 0.0
        return max(0.0, self._tried + self._spacing_s - self._clock())

    async def _fetch_now(self) -> None:
        began_ms = await redis_now_ms(self._client)
        self._tried = self._clock()
        try:
            fetched = await self._fetch()
        except KeysUnavailable as error:
            if self._failure is None:
                _log.warning("keys_away", reason=error.reason)
            self._failure = error
            raise
        before = {key.identity: key.retired_ms is None for key in self._keys.keys}
        self._keys = await self._history.merge(fetched, began_ms)
        if self._failure is not None:
            self._failure = None
            _log.info("keys_back")
        after = {key.identity: key.retired_ms is None for key in self._keys.keys}
        if before != after:
            _log.info(
                "keys_changed", in_use=sum(after.values()), retired=len(after) - sum(after.values())
            )
