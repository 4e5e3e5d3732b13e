"""The findings of one probe."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

CLOCKS_S: Final = 5.0
"""Difference of two clocks that is worth a warning, seconds."""


@dataclass(slots=True)
class Findings:
    """Result of a probe.

    Args:
        summary: what answers there, if nothing is wrong.
        warnings: what works, but not as it should.
        problems: what is wrong, each with its remedy.
    """

    summary: str = ""
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, text: str, *, problem: bool) -> None:
        """Add a problem, or a warning where it is none."""
        (self.problems if problem else self.warnings).append(text)


async def clock_warning(
    server: str, now: Callable[[], Awaitable[float]], *, own: Callable[[], float] = time.time
) -> str | None:
    """Describe by how much a server's clock differs from this machine's; None if hardly.

    Args:
        server: the name of the server.
        now: asks the server for its time, seconds since 1970.
        own: this machine's clock, likewise.
    """
    before_s = own()
    now_s = await now()
    # The answer took a while: the server read its clock at some time in between.
    for way, seconds in (("ahead of", now_s - own()), ("behind", before_s - now_s)):
        if seconds > CLOCKS_S:
            return (
                f"the clock of {server} is {seconds:.0f} s {way} this machine's: set the wrong one "
                "(NTP keeps clocks together)"
            )
    return None


def older(version: str, least: tuple[int, ...]) -> bool:
    """Return True if a version such as ``6.0.16`` is lower than the least; unreadable ones pass."""
    numbers = []
    for part in version.split(".")[: len(least)]:
        if not part.isdecimal():
            return False
        numbers.append(int(part))
    return tuple(numbers) < least
