"""Read the cells of a file of responses."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from pydantic import TypeAdapter, ValidationError

from contracts.primitives import Identifier

_IDENTIFIER: Final = TypeAdapter[str](Identifier)
_MOST_CONCEPTS: Final = 16
_SCORES: Final = {"1": 1.0, "0": 0.0, "true": 1.0, "false": 0.0}
_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM: Final = 1e11  # in seconds this would be the year 5138


class CellError(ValueError):
    """An invalid cell; the message follows the cell's value and names the remedy."""


def _remembered(function: Callable[[str], str]) -> Callable[[str], str]:
    # Hundreds of thousands of rows share a few thousand ids.
    return lru_cache(maxsize=65_536)(function)


@_remembered
def identifier(cell: str) -> str:
    """Read an id.

    Raises:
        CellError: the id is empty, longer than 128 characters or holds a control character.
    """
    text = cell.strip()
    if not text:
        raise CellError("is empty: give an id, or leave the row out")
    try:
        return _IDENTIFIER.validate_python(text)
    except ValidationError:
        raise CellError(
            "is no id: it must have 1 to 128 characters and no control character"
        ) from None


def concepts_of(cell: str, separator: str) -> tuple[str, ...]:
    """Read the concepts of a cell, each once, in cell order.

    Raises:
        CellError: a concept is not a valid id, or there are more than 16.
    """
    if separator not in cell:
        return (identifier(cell),)
    concepts = tuple(dict.fromkeys(identifier(part) for part in cell.split(separator)))
    if len(concepts) > _MOST_CONCEPTS:
        raise CellError(f"names {len(concepts)} concepts: at most {_MOST_CONCEPTS} are allowed")
    return concepts


def score_of(cell: str) -> float:
    """Read a score in [0, 1] from 0, 1, true, false (in any case) or a number.

    Raises:
        CellError: the cell is no such score.
    """
    text = cell.strip().lower()
    known = _SCORES.get(text)
    if known is not None:
        return known
    score = _number(text)
    if score is None or not 0.0 <= score <= 1.0:
        raise CellError("is no credit: give 1 or 0, true or false, or a score between 0 and 1")
    return score


def moment_of(cell: str) -> datetime:
    """Read the time of an answer, in UTC.

    Args:
        cell: an ISO 8601 time (UTC if it has no zone), or a number of seconds since 1970; numbers
            from 1e11 on are milliseconds.

    Raises:
        CellError: the cell is neither, or the time is outside the calendar.
    """
    text = cell.strip()
    number = _number(text)
    if number is not None:
        milliseconds = abs(number) >= _MILLISECONDS_FROM
        return _after(_UNIX_EPOCH, number / 1000.0 if milliseconds else number)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise CellError(
            "is no time: give one such as 2026-11-21T09:29:58Z, or seconds since 1970"
        ) from None


def place_of(cell: str, since: datetime) -> datetime:
    """Read a place in a student's sequence as a time: that number of seconds after `since`.

    Raises:
        CellError: the cell is not a number, or the time is outside the calendar.
    """
    number = _number(cell)
    if number is None:
        raise CellError("is no place in a sequence: give a number such as 0, 1, 2")
    return _after(since, number)


def _after(since: datetime, seconds: float) -> datetime:
    try:
        return since + timedelta(seconds=seconds)
    except OverflowError:
        raise CellError("is outside the calendar: give a smaller number") from None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    # Python accepts `1_000` as a number; other programs do not.
    return number if math.isfinite(number) and "_" not in text else None
