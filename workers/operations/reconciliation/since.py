"""A start time: a time, or an age by the clock of the recorder."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from workers.common.times import to_us

_AGO: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_UNITS_US: Final = {
    unit: seconds * 1_000_000
    for unit, seconds in (("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("w", 604_800))
}


@dataclass(frozen=True, slots=True)
class Since:
    """A time or an age.

    Args:
        moment_us: microseconds since 1970; None for an age.
        age_us: microseconds before now.
    """

    moment_us: int | None = None
    age_us: int = 0

    @classmethod
    def of_text(cls, text: str) -> "Since":
        """Read ISO 8601 with a zone, or an age such as ``90s``, ``15m``, ``2h``, ``3d``, ``1w``.

        Raises:
            ValueError: the text is neither.
        """
        if (ago := _AGO.fullmatch(text)) is not None:
            return cls(age_us=int(ago[1]) * _UNITS_US[ago[2]])
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None:
                return cls(moment_us=to_us(moment.astimezone(UTC)))
        except (ValueError, OverflowError):
            pass
        raise ValueError(
            f"{text!r} is not a time: write ISO 8601 with a zone, such as 2026-11-21T09:30:00Z, or "
            "an age, such as 2h"
        )

    def by(self, now_us: int) -> int:
        """Return the time in microseconds since 1970, at least 0.

        Args:
            now_us: the current time by the recorder's clock, microseconds since 1970.
        """
        return self.moment_us if self.moment_us is not None else max(0, now_us - self.age_us)
