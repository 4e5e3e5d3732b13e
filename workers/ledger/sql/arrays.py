"""Postgres array literals, which carry columns inside one JSON document."""

from collections.abc import Iterable

from workers.common.times import iso


def texts(values: Iterable[str | None]) -> str:
    """Write a ``text[]`` literal; None becomes NULL. Admission has refused NUL characters."""
    return "{" + ",".join("NULL" if v is None else f'"{_escaped(v)}"' for v in values) + "}"


def plain(values: Iterable[int] | Iterable[float]) -> str:
    """Write a literal of numbers; floats as the shortest text that gives back the same bits."""
    return "{" + ",".join(map(repr, values)) + "}"


def numbers(values: Iterable[float | None]) -> str:
    """Write a literal of numbers as `plain` does; None becomes NULL."""
    return "{" + ",".join("NULL" if v is None else repr(v) for v in values) + "}"


def booleans(values: Iterable[bool]) -> str:
    """Write a ``boolean[]`` literal."""
    return "{" + ",".join("t" if v else "f" for v in values) + "}"


def moments(values_us: Iterable[int]) -> str:
    """Write a ``timestamptz[]`` literal of microseconds since 1970."""
    return "{" + ",".join(map(iso, values_us)) + "}"


def _escaped(value: str) -> str:
    if "\\" in value or '"' in value:
        return value.replace("\\", "\\\\").replace('"', '\\"')
    return value
