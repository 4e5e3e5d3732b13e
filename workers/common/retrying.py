"""Repeat a call while its server is away: jittered exponential backoff."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from workers.common.errors import RedisUnavailable, Unavailable
from workers.common.jitter import jittered_sleep

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0
"""Longest wait for a server, so the longest delay until work resumes, seconds."""
_LONGEST_REDIS_WAIT_S: Final = 0.8
"""Few calls wait for Redis, each costs it nothing, and reading waits for them."""


SETTLING_S: Final = 2 * LONGEST_WAIT_S
"""Time after a server's return within which all waiting calls resume, seconds."""


class Retrying:
    """Repeat idempotent calls until their server answers.

    Args:
        first_s: the longest first wait, seconds.
        longest_s: the longest of all waits, seconds.
        clock: a monotonic clock, seconds.

    Attributes:
        waiting: the reason for each server that is away, by its name; empty if all answer.
    """

    def __init__(
        self,
        *,
        first_s: float = FIRST_WAIT_S,
        longest_s: float = LONGEST_WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._clock = clock
        self._last_wait: float | None = None
        self.waiting: dict[str, str] = {}

    @property
    def unsettled(self) -> bool:
        """Return True if a server is away, or returned so recently that others may still wait."""
        lately = self._last_wait is not None and self._clock() - self._last_wait < SETTLING_S
        return bool(self.waiting) or lately

    async def call(self, request: Callable[[], Awaitable[Result]]) -> Result:
        """Repeat a request until its server answers.

        Each wait is uniform between half a step and a whole step; the step doubles. Full jitter
        would let two workers return at the same moment more often.

        Args:
            request: makes the call; safe to repeat.

        Raises:
            Exception: any error of the request except `Unavailable`.
        """
        step_s = self._first_s
        missed: set[str] = set()
        try:
            while True:
                try:
                    result = await request()
                except Unavailable as error:
                    if error.server not in self.waiting:
                        _log.warning("server_away", server=error.server, reason=error.reason)
                    self.waiting[error.server] = error.reason
                    missed.add(error.server)
                    self._last_wait = self._clock()
                    if isinstance(error, RedisUnavailable):
                        step_s = min(step_s, _LONGEST_REDIS_WAIT_S)
                    await jittered_sleep(step_s)
                    step_s = min(2 * step_s, self._longest_s)
                else:
                    for server in missed & self.waiting.keys():
                        _log.info("server_back", server=server)
                    return result
        finally:
            # Answered, given up or refused: this call waits no more.
            for server in missed:
                self._last_wait = self._clock()
                self.waiting.pop(server, None)


class NoRetry(Retrying):
    """Call once, for callers that must not wait for a server."""

    async def call(self, request: Callable[[], Awaitable[Result]]) -> Result:
        """Call once.

        Raises:
            Exception: any error of the request, `Unavailable` included.
        """
        return await request()
