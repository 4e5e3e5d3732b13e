"""Dead letters on a terminal and as JSON."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workers.operations.dead_letters.dead_letter import DeadLetter
from workers.operations.dead_letters.redaction import REDACTED, shown, without_jwts, without_tokens

_COLUMNS: Final = ("id", "code", "tenant_id", "student_id", "rejected_at", "redriven_at")
_LONGEST_CELL: Final = 64
_LONGEST_TABLE: Final = 500
_UNSAFE: Final = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories that may move the cursor, turn the text around or break a line."""


def console() -> Console:
    """Where people look: nothing of an event is taken for markup."""
    return Console(markup=False, highlight=False, emoji=False)


def row(letter: DeadLetter) -> dict[str, Any]:
    """One letter as `list --json` shows it."""
    data, claimed = letter.data, letter.claimed()
    return {
        "id": str(letter.id),
        "entry_id": letter.text("entry_id"),
        "stream": letter.text("stream"),
        "code": letter.code,
        "status": data.get("status"),
        "reason": None if (reason := letter.text("reason")) is None else without_jwts(reason),
        "field": letter.text("field"),
        "tenant_id": claimed.tenant_id,
        "student_id": claimed.student_id,
        "deliveries": data.get("deliveries"),
        "accepted_at": letter.accepted_at,
        "rejected_at": letter.text("rejected_at"),
        "redriven_at": letter.redriven_at,
        "redriven_as": letter.redriven_as,
    }


def whole(letter: DeadLetter) -> dict[str, Any]:
    """One letter as `show --json` shows it: the rejection, and the event without its token."""
    found = row(letter)
    known = {*found, "event", "event_base64"}
    rest = {name: without_tokens(value) for name, value in letter.data.items() if name not in known}
    event = None if letter.event is None else shown(letter.event)
    return {**found, **rest, "event": event}


def as_json(value: Any) -> str:
    """JSON in ASCII, so that no character does anything to a terminal."""
    return json.dumps(value, indent=2)


class JsonListing:
    """Prints an array of rows as they come."""

    def __init__(self) -> None:
        self._before = "["

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Print more rows."""
        for letter in letters:
            typer.echo(f"{self._before}\n{json.dumps(row(letter))}", nl=False)
            self._before = ","

    def close(self) -> None:
        """End the array."""
        typer.echo("[]" if self._before == "[" else "\n]")


class TableListing:
    """Prints a table of rows, a new one where there are very many."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._empty = True

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Take more rows, and print them if they are many."""
        self._rows += map(row, letters)
        if len(self._rows) >= _LONGEST_TABLE:
            self._print()

    def close(self) -> None:
        """Print the rest, or that there is nothing."""
        if self._rows:
            self._print()
        elif self._empty:
            typer.echo("no dead letters of that kind")

    def _print(self) -> None:
        console().print(_table(self._rows))
        self._rows, self._empty = [], False


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    made = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        made.add_column(name.replace("_", " "), no_wrap=True)
    made.add_column("reason", overflow="fold", min_width=20)
    for one in rows:
        reason = Text(plain(one["reason"] or "no rejection of this engine's"))
        made.add_row(*(Text(_cell(one[name])) for name in _COLUMNS), reason)
    return made


def detail(letter: DeadLetter) -> str:
    """One letter, whole, for people."""
    found = whole(letter)
    event = found.pop("event")
    width = max(map(len, found))
    lines = [
        f"{name:<{width}}  {plain(value) if isinstance(value, str) else json.dumps(value)}"
        for name, value in found.items()
        if value is not None
    ]
    if event is None:
        held = shown((letter.text("event") or "").encode())
        lines += ["", f"no field `event`; the entry held: {plain(json.dumps(held))}"]
    else:
        text = event if isinstance(event, str) else json.dumps(event, indent=2, ensure_ascii=False)
        lines += ["", f"the event (tokens are shown as {REDACTED}):", plain(text, keep="\n")]
    return "\n".join(lines)


def plain(text: str, keep: str = "") -> str:
    """A text whose control and format characters are written out as escapes.

    Args:
        text: what a publisher may have written.
        keep: characters that stay as they are.
    """
    return "".join(
        one
        if one in keep or unicodedata.category(one) not in _UNSAFE
        else one.encode("unicode_escape", "surrogatepass").decode()
        for one in text
    )


def _cell(value: str | None) -> str:
    text = plain(value or "-")
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
