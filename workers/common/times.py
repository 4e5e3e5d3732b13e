"""Times as whole microseconds since 1970-01-01T00:00:00Z, and as text."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US: Final = 86_400_000_000


def to_us(moment: datetime) -> int:
    """Convert an aware datetime to microseconds since 1970, exactly."""
    since = moment - _EPOCH
    return since.days * _DAY_US + since.seconds * 1_000_000 + since.microseconds


def from_us(microseconds: int) -> datetime:
    """Convert microseconds since 1970 to a UTC datetime, exactly."""
    return _EPOCH + timedelta(microseconds=microseconds)


@lru_cache(maxsize=8192)  # a batch writes the same few times into many columns
def iso(microseconds: int) -> str:
    """Write a time as RFC 3339 text in UTC, such as ``2026-11-21T09:29:58.400000Z``."""
    return from_us(microseconds).isoformat(timespec="microseconds")[:26] + "Z"
