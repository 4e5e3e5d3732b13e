"""Moments as whole microseconds since 1970-01-01T00:00:00Z, and as text."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US: Final = 86_400_000_000


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime, exactly."""
    since = moment - _EPOCH
    return since.days * _DAY_US + since.seconds * 1_000_000 + since.microseconds


def from_us(microseconds: int) -> datetime:
    """The UTC datetime of microseconds since 1970, exactly."""
    return _EPOCH + timedelta(microseconds=microseconds)


@lru_cache(maxsize=8192)  # the same few moments of a batch stand in many of its columns
def iso(microseconds: int) -> str:
    """RFC 3339 text in UTC, such as ``2026-11-21T09:29:58.400000Z``."""
    return from_us(microseconds).isoformat(timespec="microseconds")[:26] + "Z"
