"""Postgres array literals, which carry columns inside one JSON document."""

from collections.abc import Iterable
from typing import Final

import orjson

from workers.common.times import iso

_BETWEEN: Final = "\x00"
"""A character that no admitted text holds."""


def texts(values: Iterable[str | None]) -> str:
    """Write a ``text[]`` literal; None becomes NULL. Admission has refused NUL characters."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    joined = _BETWEEN.join(known)
    if not known or len(known) < len(listed) or joined.count(_BETWEEN) >= len(known):
        return "{" + ",".join("NULL" if v is None else f'"{_escaped(v)}"' for v in listed) + "}"
    # Escaped as a whole: several times as fast as one by one.
    return '{"' + _escaped(joined).replace(_BETWEEN, '","') + '"}'


def plain(values: Iterable[int] | Iterable[float]) -> str:
    """Write a literal of numbers; floats as the shortest text that gives back the same bits."""
    listed = list(values)
    written = orjson.dumps(listed, option=orjson.OPT_SERIALIZE_NUMPY)
    if b"null" in written:
        # JSON has no infinity and no NaN.
        return "{" + ",".join(map(repr, listed)) + "}"
    return "{" + written[1:-1].decode() + "}"


def numbers(values: Iterable[float | None]) -> str:
    """Write a literal of numbers as `plain` does; None becomes NULL."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    if len(known) == len(listed):
        return plain(known)
    return "{" + ",".join("NULL" if v is None else repr(v) for v in listed) + "}"


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
