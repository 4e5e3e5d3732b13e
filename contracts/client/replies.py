"""Read replies of redis-py: bytes or text, RESP2 or RESP3."""

from typing import Any, NamedTuple

from contracts.streams import EVENT_FIELD


class Entry(NamedTuple):
    """An entry of a stream."""

    id: str
    text: str | bytes | None
    """Its field ``event``; None without one."""
    gone: bool
    """True if the entry was trimmed after it was delivered."""


def text(value: str | bytes) -> str:
    """Return text; bytes are UTF-8."""
    return value.decode() if isinstance(value, bytes) else value


def entries(reply: Any) -> list[Entry]:
    """Return the entries of one stream."""
    return [_entry(entry_id, fields or {}) for entry_id, fields in reply]


def entries_by_stream(reply: Any) -> dict[str, list[Entry]]:
    """Return the entries that XREAD or XREADGROUP answers, by stream."""
    if isinstance(reply, dict):
        # RESP3 has a list of lists for each stream.
        return {text(name): entries(e for part in parts for e in part)
                for name, parts in reply.items()}  # fmt: skip
    return {text(name): entries(rows) for name, rows in reply or ()}


def _entry(entry_id: str | bytes, fields: dict[Any, Any]) -> Entry:
    named = {text(name): value for name, value in fields.items()}
    return Entry(text(entry_id), named.get(EVENT_FIELD), gone=not fields)


def position(entry_id: str) -> tuple[int, int]:
    """Return an id as numbers, which compare as Redis orders entries."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)
