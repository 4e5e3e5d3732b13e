"""Options and arguments that several commands share."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from workers.cli.choices import DEFAULT_TENANT
from workers.operations.reconciliation.since import Since


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is not a time: write 2026-11-21 or 2026-11-21T09:30:00Z (UTC without a zone)"
        ) from None


def _since(text: str) -> Since:
    try:
        return Since.of_text(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def time_option(help_text: str) -> Any:
    """Return an option that takes a date or a time, and gives a time in UTC."""
    return typer.Option(parser=_time, metavar="TIME", help=help_text)


def since_option(help_text: str) -> Any:
    """Return an option that takes a time with a zone or an age, and gives a `Since`."""
    return typer.Option(parser=_since, metavar="TIME", help=help_text)


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")
]
Tenant = Annotated[str, typer.Option(help="The tenant.")]
OnlyTenant = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        help=f"Only this tenant; all if not given, or {DEFAULT_TENANT} with --student.",
    ),
]
OnlyStudent = Annotated[str | None, typer.Option("--student", help="Only this student.")]

StudentColumn = Annotated[str, typer.Option("--student", help="Column of the student.")]
ItemColumn = Annotated[str, typer.Option("--item", help="Column of the item.")]
ConceptColumn = Annotated[str, typer.Option("--concept", help="Column of the concepts.")]
CorrectColumn = Annotated[
    str, typer.Option("--correct", help="Column of the score, 0 to 1; 1 means correct.")
]
OrderColumn = Annotated[
    str, typer.Option("--order", help="Column of the position in the student's sequence.")
]
TimeColumn = Annotated[
    str | None, typer.Option("--time", help="Column of the time; replaces the column of the order.")
]
Separator = Annotated[str, typer.Option(help="Separates the concepts within a cell.")]
