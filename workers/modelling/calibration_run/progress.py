"""How far a calibration is."""

from collections.abc import Awaitable, Callable
from typing import Final

ProgressCallback = Callable[[int, int], Awaitable[None]]
"""Told how many steps of the work are done, and of how many."""

_READING: Final = 100
"""Steps of the work that reading the log counts for; a fit counts as much, a span for one."""


class Progress:
    """Steps of the work, of which more become known as it goes on.

    Args:
        told: of each change.
    """

    def __init__(self, told: ProgressCallback) -> None:
        self._told = told
        self._done = 0
        # One scale is what most have.
        self._total = 5 * _READING + 1

    async def read(self, share: float) -> None:
        """Of the log such a share is read, in [0, 1]."""
        self._done = round(share * _READING)
        await self._tell()

    async def fits(self, count: int, done: int) -> None:
        """So many fits there are, and so many of them are done."""
        self._done = _READING * (1 + done)
        self._total = _READING * (1 + count) + 1
        await self._tell()

    async def fitted(self) -> None:
        """One more fit is done."""
        self._done += _READING
        await self._tell()

    def spans(self, count: int) -> None:
        """So many spans of held-out learners there are."""
        self._total += count

    async def predicted(self) -> None:
        """One more span is done."""
        self._done += 1
        await self._tell()

    async def ended(self) -> None:
        """All is done."""
        self._done = self._total
        await self._tell()

    async def _tell(self) -> None:
        await self._told(self._done, self._total)
