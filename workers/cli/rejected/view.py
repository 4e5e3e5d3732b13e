"""Dead letters on a terminal and as JSON."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workers.cli.plain import plain
from workers.operations.dead_letters.dead_letter import DeadLetter
from workers.operations.dead_letters.display import row, whole
from workers.operations.dead_letters.redaction import REDACTED, shown

_COLUMNS: Final = ("id", "code", "tenant_id", "student_id", "rejected_at", "redriven_at")
_NARROWEST: Final = {"rejected_at": 10, "redriven_at": 10}
"""Widths that keep a date in one line."""
_TIME: Final = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\S*$")
_LONGEST_TABLE: Final = 500


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


class PlainListing:
    """Print rows as lines of whole values between tabs, for other programs to read."""

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Print more rows."""
        for letter in letters:
            cells = row(letter)
            typer.echo("\t".join(plain(cells[name] or "-") for name in (*_COLUMNS, "reason")))

    def close(self) -> None:
        """Do nothing: no row means no line."""


class TableListing:
    """Print rows as tables of limited length."""

    def __init__(self, shown: Console | None = None) -> None:
        self._console = shown or console()
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
        # Uncropped: a table wider than the terminal keeps its last column.
        self._console.print(_table(self._rows), crop=False)
        self._rows, self._empty = [], False


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    made = Table(box=None, pad_edge=False)
    longest = max(len(cells["id"]) for cells in rows)
    shown = [name for name in _COLUMNS if name != "redriven_at" or any(c[name] for c in rows)]
    for name in shown:
        # A cut id is of no use to `show` and `redrive`; all else may wrap.
        least = longest if name == "id" else _NARROWEST.get(name, 8)
        made.add_column(
            name.replace("_", " "), no_wrap=name == "id", overflow="fold", min_width=least
        )
    made.add_column("reason", overflow="fold", min_width=9)
    for cells in rows:
        reason = Text(plain(cells["reason"] or "not a rejection by this engine"))
        made.add_row(*(Text(_cell(cells[name])) for name in shown), reason)
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


def _cell(value: str | None) -> str:
    # A time wraps between date and time of day.
    return _TIME.sub(r"\1 \2", plain(value or "-"))
