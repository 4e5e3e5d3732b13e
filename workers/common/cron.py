"""Cron expressions in UTC, where no hour is repeated or left out."""

from datetime import UTC, datetime
from typing import Final

from cronsim import CronSim, CronSimError

_MINUTE_MS: Final = 60_000
_FIELDS: Final = 5
_SOME_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)


def check(expression: str) -> None:
    """Check that an expression is valid and matches some day.

    Raises:
        ValueError: the message names the expression and the remedy.
    """
    why = f"it has {len(expression.split())} fields"
    # A sixth field would be seconds; a slot is a minute.
    if len(expression.split()) == _FIELDS:
        try:
            next(CronSim(expression, _SOME_DAY))
        except (CronSimError, StopIteration) as error:
            why = str(error)[:1].lower() + str(error)[1:] or "it never comes true"
        else:
            return
    raise ValueError(
        f"{expression!r} is no expression of cron ({why}): write minute, hour, day of month, month "
        "and day of week, such as 30 3 * * 0"
    )


def latest(expression: str, now_ms: int) -> int:
    """Find the latest time that an expression matches, this minute included.

    Args:
        expression: an expression that `check` accepts.
        now_ms: milliseconds since 1970.

    Returns:
        Milliseconds since 1970.
    """
    # The slot before the start of the next minute may be this minute.
    next_minute = datetime.fromtimestamp((now_ms // _MINUTE_MS + 1) * 60, UTC)
    moment = next(CronSim(expression, next_minute, reverse=True))
    return int(moment.timestamp()) * 1000
