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
from workers.operations.dead_letters.display import row, whole
from workers.operations.dead_letters.redaction import REDACTED, shown

_COLUMNS: Final = ("id", "code", "tenant_id", "student_id", "rejected_at", "redriven_at")
_LONGEST_CELL: Final = 64
_LONGEST_TABLE: Final = 500
_UNSAFE: Final = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories that can move the cursor, reverse text or break lines."""


def console() -> Console:
    """Return a console that never interprets event text as markup."""
    return Console(markup=False, highlight=False, emoji=False)


def as_json(value: Any) -> str:
    """Return JSON in ASCII, so that no character can control the terminal."""
    return json.dumps(value, indent=2)


class JsonListing:
    """Print rows as a JSON array, page by page."""

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
    """Print rows as tables of limited length."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._empty = True

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Add rows, and print a full table."""
        self._rows += map(row, letters)
        if len(self._rows) >= _LONGEST_TABLE:
            self._print()

    def close(self) -> None:
        """Print the remaining rows, or a line if there were none."""
        if self._rows:
            self._print()
        elif self._empty:
            typer.echo("no matching dead letters")

    def _print(self) -> None:
        console().print(_table(self._rows))
        self._rows, self._empty = [], False


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    made = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        made.add_column(name.replace("_", " "), no_wrap=True)
    made.add_column("reason", overflow="fold", min_width=20)
    for cells in rows:
        reason = Text(plain(cells["reason"] or "not a rejection by this engine"))
        made.add_row(*(Text(_cell(cells[name])) for name in _COLUMNS), reason)
    return made


def detail(letter: DeadLetter) -> str:
    """Return a whole letter as text."""
    document = whole(letter)
    event = document.pop("event")
    width = max(map(len, document))
    lines = [
        f"{name:<{width}}  {plain(value) if isinstance(value, str) else json.dumps(value)}"
        for name, value in document.items()
        if value is not None
    ]
    if event is None:
        fields = shown((letter.text("event") or "").encode())
        lines += ["", f"no field `event`; the entry has: {plain(json.dumps(fields))}"]
    else:
        text = event if isinstance(event, str) else json.dumps(event, indent=2, ensure_ascii=False)
        lines += ["", f"the event (tokens replaced by {REDACTED}):", plain(text, keep="\n")]
    return "\n".join(lines)


def plain(text: str, keep: str = "") -> str:
    """Return a text with its control and format characters as escapes.

    Args:
        text: any text of a publisher.
        keep: characters to leave unescaped.
    """
    return "".join(
        character
        if character in keep or unicodedata.category(character) not in _UNSAFE
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def _cell(value: str | None) -> str:
    text = plain(value or "-")
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
