"""Entry ids: milliseconds of Redis's clock and a counter, such as ``1795253400123-0``."""

from functools import lru_cache
from typing import Final

LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, milliseconds since 1970; publishers may choose a later id."""


@lru_cache(maxsize=8192)  # each step asks for the time of the same entries
def entered_ms(entry_id: str) -> int:
    """Return when an entry entered its stream, by Redis's clock, milliseconds since 1970.

    Raises:
        ValueError: the text does not begin with a number.
    """
    return int(entry_id.partition("-")[0])


def order(entry_id: str) -> tuple[int, ...]:
    """Return the sort key of an id: milliseconds of Redis's clock, then the counter."""
    return tuple(map(int, entry_id.split("-")))
