"""Bringing gauges up to date once for all who scrape at about the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence


class SharedRefresh:
    """Refreshes all parts at once, one refresh at a time; who asks within ``kept_s`` shares it.

    Args:
        parts: each brings something up to date, and may fail without hindering the others.
        kept_s: how long a refresh counts, a failed one too, seconds.
        clock: seconds of a clock that never goes back.
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
        """Return once everything is of now, or of a moment ago.

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
