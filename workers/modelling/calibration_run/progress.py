"""Report the progress of a calibration."""

from collections.abc import Awaitable, Callable
from typing import Final

ProgressCallback = Callable[[int, int], Awaitable[None]]
"""Called with the number of finished units of work and their total."""

_READING: Final = 100
"""Units of work for reading the log; a fit counts as many, a span of predictions counts one."""


class Progress:
    """Progress of a calibration, whose total becomes known step by step.

    Args:
        on_progress: called at each change.
    """

    def __init__(self, on_progress: ProgressCallback) -> None:
        self._on_progress = on_progress
        self._done = 0
        # Most deployments have one scale.
        self._total = 5 * _READING + 1

    async def read(self, share: float) -> None:
        """Report the share of the log that is read, in [0, 1]."""
        self._done = round(share * _READING)
        await self._tell()

    async def fits(self, count: int, done: int) -> None:
        """Report the number of fits, and the number of finished ones."""
        self._done = _READING * (1 + done)
        self._total = _READING * (1 + count) + 1
        await self._tell()

    async def fitted(self) -> None:
        """Report one more finished fit."""
        self._done += _READING
        await self._tell()

    def spans(self, count: int) -> None:
        """Add spans of held-out learners to the total."""
        self._total += count

    async def predicted(self) -> None:
        """Report one more finished span."""
        self._done += 1
        await self._tell()

    async def ended(self) -> None:
        """Report the end."""
        self._done = self._total
        await self._tell()

    async def _tell(self) -> None:
        await self._on_progress(self._done, self._total)
