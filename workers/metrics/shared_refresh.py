"""Refresh gauges once for all scrapes at about the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence


class SharedRefresh:
    """Refreshes all parts at once; callers within ``kept_s`` share a refresh.

    Args:
        parts: refresh functions; a failing one does not hinder the others.
        kept_s: time for which a refresh counts, a failed one too, seconds.
        clock: a monotonic clock in seconds.
    """

    def __init__(
        self,
        parts: Sequence[Callable[[], Awaitable[None]]],
        *,
        kept_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = tuple(parts)
        self._kept_s = kept_s
        self._clock = clock
        self._turn = asyncio.Lock()
        self._done: tuple[float, BaseException | None] | None = None

    async def refresh(self) -> None:
        """Return once everything was refreshed less than ``kept_s`` ago.

        Raises:
            Exception: the first failure of a part.
        """
        async with self._turn:
            if self._done is None or self._clock() - self._done[0] >= self._kept_s:
                results = await asyncio.gather(
                    *(part() for part in self._parts), return_exceptions=True
                )
                self._done = (self._clock(), next(filter(None, results), None))
            failure = self._done[1]
        if failure is not None:
            raise failure
