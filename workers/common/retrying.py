"""Waiting for a server that is away: jittered exponential backoff, and who is waited for."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from workers.common.errors import Unavailable
from workers.common.jitter import jittered_sleep

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0
"""So that after a server's return the worker is at full speed within this time."""


SETTLING_S: Final = 2 * LONGEST_WAIT_S
"""After a server's return all who waited for it are back at work within this time."""


class Patience:
    """Repeats idempotent calls until their server answers.

    Args:
        first_s: the first wait at most, seconds.
        longest_s: any wait at most, seconds.
        clock: seconds of a clock that never goes back.

    Attributes:
        waiting: of each server that is away, why; empty when all answer.
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
        """Whether a server is away, or came back so lately that others may wait for it still."""
        lately = self._last_wait is not None and self._clock() - self._last_wait < SETTLING_S
        return bool(self.waiting) or lately

    async def until_answered(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Call until the server answers; any error but `Unavailable` goes through.

        Waits are uniform between half and the whole of a step that doubles (full jitter would
        let two workers return at the same moment more often than need be).
        """
        step_s = self._first_s
        missed: set[str] = set()
        try:
            while True:
                try:
                    result = await call()
                except Unavailable as error:
                    if error.server not in self.waiting:
                        _log.warning("server_away", server=error.server, reason=error.reason)
                    self.waiting[error.server] = error.reason
                    missed.add(error.server)
                    self._last_wait = self._clock()
                    await jittered_sleep(step_s)
                    step_s = min(2 * step_s, self._longest_s)
                else:
                    for server in missed & self.waiting.keys():
                        _log.info("server_back", server=server)
                    return result
        finally:
            # Answered, given up or refused: nobody waits any more.
            for server in missed:
                self._last_wait = self._clock()
                self.waiting.pop(server, None)


class Impatience(Patience):
    """Calls once: for those who must know that a server is away before they wait."""

    async def until_answered(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Call once; every error goes through."""
        return await call()
