"""Limit the requests of a subject and of an address."""

import asyncio
import math
import time
from typing import Any, Final
from urllib.parse import quote

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override

from workers.streams.redis_errors import LIBRARY_ERRORS
from workers.web.limits.customers import customer_of
from workers.web.requests import error_response, guarded

_log = structlog.get_logger(__name__)

_PREFIX: Final = "mastery:http"
_ANSWER_S: Final = 1.0
"""Longest time a request waits for Redis to count it, seconds."""
_ALONE_S: Final = 5.0
"""Time after an outage of Redis in which the process counts alone, seconds."""


class Rates:
    """Counts requests in a sliding window in Redis, so that all workers share the count.

    While Redis is away each process counts alone. The limit then is that of one process times
    the number of workers; nobody is locked out, and nobody is unlimited.

    Args:
        client: a connection to Redis.
        subject: limit for one subject, such as ``120/minute``.
        address: limit for one address.
    """

    def __init__(self, client: Redis, *, subject: str, address: str) -> None:
        self._subject = parse(subject)
        self._address = parse(address)
        self._shared = SlidingWindowCounterRateLimiter(_Shared(client))
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._alone_until = -math.inf

    async def of_subject(self, tenant_id: str, subject: str) -> int | None:
        """Count a request of a subject; return None if it may pass, else the seconds to wait."""
        # Quoted, so that two tenants' subjects never share a count.
        return await self._take(
            self._subject, "subject", quote(tenant_id, safe=""), quote(subject, safe="")
        )

    async def of_address(self, address: str) -> int | None:
        """Count a request from an address; return None if it may pass, else the seconds to wait.

        All addresses of one IPv6 /64 network, which belongs to one customer, count as one.
        """
        return await self._take(self._address, "address", customer_of(address))

    async def _take(self, item: RateLimitItem, *key: str) -> int | None:
        if time.monotonic() >= self._alone_until:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    return await _hit(self._shared, item, key)
            except LIBRARY_ERRORS as error:
                self._alone_until = time.monotonic() + _ALONE_S
                _log.warning("requests_counted_alone", reason=type(error).__name__)
        return await _hit(self._own, item, key)


class _Shared(RedisStorage):
    """Counts in Redis over a client that is open already, of a Redis Cluster too.

    The two keys of a count share a slot: limits puts braces around their common part.
    """

    STORAGE_SCHEME: list[str] = []  # noqa: RUF012  # not for URLs; as in the base class

    def __init__(self, client: Redis) -> None:
        self._client = client
        super().__init__("redis://", implementation="redispy", key_prefix=_PREFIX)

    @override
    def configure_bridge(self) -> None:
        bridge: Any = self.bridge
        bridge.storage = self._client
        bridge.connection_getter = lambda _: self._client


class AddressMiddleware:
    """Refuses an address that asks too often, before its token is read.

    Args:
        app: the application behind it.
        rates: counts requests.
    """

    def __init__(self, app: ASGIApp, *, rates: Rates) -> None:
        self._app = app
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] in {"http", "websocket"} and guarded(scope):
            address = (scope.get("client") or ("unknown",))[0]
            after_s = await self._rates.of_address(address)
            if after_s is not None:
                refused = too_many("address", after_s)
                response = error_response(
                    scope["state"]["request_id"], 429, refused.detail, refused.headers
                )
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def too_many(whose: str, after_s: int) -> HTTPException:
    """Return the refusal of a request over the limit."""
    return HTTPException(
        429,
        f"Too many requests of this {whose}: try again in {after_s} s.",
        {"Retry-After": str(after_s)},
    )


async def _hit(
    limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, key: tuple[str, ...]
) -> int | None:
    if await limiter.hit(item, *key):
        return None
    stats = await limiter.get_window_stats(item, *key)
    return max(1, math.ceil(stats.reset_time - time.time()))
