"""Limit the responses that a student may send in a window of time. Pure.

Windows are based on the time at which entries entered their stream, by Redis's clock, so that a
backlog, a redelivery or a second worker changes nothing. The counts are part of the learner's
state and are stored under its version.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple, Self

KEPT_WINDOWS: Final = 8
"""Number of newest windows kept in the learner's state; older counts are read from the log."""

_UNITS: Final = {"second": 1, "minute": 60, "hour": 3600}
_RATE: Final = re.compile(r"([1-9][0-9]{0,8})/([a-z]+)")


def parse_rate(text: str, units: Collection[str]) -> tuple[int, str] | None:
    """Read a rate such as ``600/minute``.

    Args:
        text: a whole number from 1 to 999,999,999, a slash and a unit.
        units: the allowed units.

    Returns:
        The number and the unit; None if the text is not a rate in one of these units.
    """
    match = _RATE.fullmatch(text)
    return (int(match[1]), match[2]) if match is not None and match[2] in units else None


class RateLimit(NamedTuple):
    """The most responses of a student in each window.

    Args:
        most: number of responses, 1 or more.
        unit: length of a window: `second`, `minute` or `hour`.
    """

    most: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a limit such as ``600/minute``; return None for ``off``.

        Raises:
            ValueError: the text is neither.
        """
        if text == "off":
            return None
        parsed = parse_rate(text, _UNITS)
        if parsed is None:
            raise ValueError(
                f"RATE_LIMIT is {text[:40]!r}: write a number above 0 per second, minute or hour, "
                "such as 600/minute, or off"
            )
        return cls(*parsed)

    def __str__(self) -> str:
        """Write the limit as in the settings."""
        return f"{self.most}/{self.unit}"

    def window_of(self, entered_ms: int) -> int:
        """Return the start of the window of a time, in seconds since 1970.

        Args:
            entered_ms: when an entry entered its stream, milliseconds since 1970.
        """
        length = _UNITS[self.unit]
        return entered_ms // 1000 // length * length


class Counts(NamedTuple):
    """Counts of a learner's responses by window.

    Args:
        kept: counts of the newest windows, by their start in seconds since 1970.
        older: counts of the requested older windows, read from the log.
    """

    kept: Mapping[int, int]
    older: Mapping[int, int]

    def of(self, window: int) -> int:
        """Return the count of a window."""
        return self.kept.get(window, 0) or self.older.get(window, 0)

    def after(self, added: Mapping[int, int]) -> dict[int, int]:
        """Add counts and return the newest windows, ascending."""
        counts = dict(self.kept)
        for window, more in added.items():
            counts[window] = self.of(window) + more
        return newest(counts)


def newest(counts: Mapping[int, int]) -> dict[int, int]:
    """Select the newest windows, ascending."""
    return dict(sorted(counts.items())[-KEPT_WINDOWS:])
