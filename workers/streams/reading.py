"""Go on reading as soon as Redis is back.

FastStream sleeps for 5 s after a read that failed, whatever Redis does in the meantime.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from faststream.redis.subscriber.usecases import StreamBatchSubscriber

from workers.common.errors import RedisUnavailable
from workers.common.jitter import jittered_sleep
from workers.streams.redis_errors import LIBRARY_ERRORS, from_redis

_log = structlog.get_logger(__name__)

_PAUSE_S: Final = 0.3
_PING_S: Final = 1.0
"""Longest wait for an answer: a connection attempt to a host that is silent takes longer."""

_Read = Callable[[str], Awaitable[Any]]
"""Reads what comes after an id."""


class Reading:
    """Repeats the reads of one subscriber while Redis is away.

    Args:
        stream: the stream that it reads.
        ping: asks the server of the stream for an answer.

    Attributes:
        failing: True from a read that failed until one that did not.
    """

    def __init__(self, stream: str, ping: Callable[[], Awaitable[Any]]) -> None:
        self._stream = stream
        self._ping = ping
        self.failing = False

    def attach(self, subscriber: StreamBatchSubscriber) -> None:
        """Put this between FastStream's loop and its reads."""
        take: Callable[[_Read], Awaitable[None]] = subscriber._get_msgs  # noqa: SLF001  # no hook

        async def take_when_possible(read: _Read) -> None:
            await take(lambda after: self._repeat(lambda: read(after)))

        # Assigned by name: mypy rightly forbids assigning to a method.
        setattr(subscriber, "_get_msgs", take_when_possible)  # noqa: B010

    async def _repeat(self, read: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            try:
                answer = await read()
            except LIBRARY_ERRORS as error:
                reason = from_redis(error)
                if not isinstance(reason, RedisUnavailable):
                    raise
                if not self.failing:
                    _log.warning("reading_failed", stream=self._stream, reason=reason.reason)
                self.failing = True
            else:
                if self.failing:
                    _log.info("reading_resumed", stream=self._stream)
                self.failing = False
                return answer
            await self._until_answered()

    async def _until_answered(self) -> None:
        while True:
            await jittered_sleep(_PAUSE_S)
            try:
                async with asyncio.timeout(_PING_S):
                    await self._ping()
            except LIBRARY_ERRORS:
                continue
            return
