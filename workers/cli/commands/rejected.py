"""`mastery rejected list|show|redrive|purge`: the dead letters."""

from datetime import datetime
from typing import Annotated, Final

import typer

from workers.cli.choices import RejectionCode
from workers.cli.commands.options import Json, Yes, time_option

app = typer.Typer(help="List, show, redrive and purge dead letters.", no_args_is_help=True)

_LIMIT: Final = 50

_IDS: Final = typer.Argument(metavar="ID", help="Ids as `list` prints them.")
_CURSOR: Final = typer.Option(metavar="CURSOR", help="Continue after this dead letter.")
_LIMITING: Final = typer.Option(min=1, help="At most this many.")

Ids = Annotated[list[str] | None, _IDS]
Code = Annotated[list[RejectionCode] | None, typer.Option(help="Only this code; repeatable.")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant, as the event claims it.")]
Student = Annotated[str | None, typer.Option(help="Only this student, as the event claims it.")]
Since = Annotated[
    datetime | None, time_option("Rejected at this time or later, by the clock of Redis.")
]
Until = Annotated[datetime | None, time_option("Rejected before this time.")]
Cursor = Annotated[str | None, _CURSOR]
Limit = Annotated[int | None, _LIMITING]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count; change nothing.")]
All = Annotated[
    bool, typer.Option("--all", help="All dead letters; required without ids and filters.")
]


@app.command("list")
def list_(
    ids: Ids = None,
    code: Code = None,
    tenant: Tenant = None,
    student: Student = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, _LIMITING] = _LIMIT,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """List dead letters, oldest first; print the next page's cursor to standard error.

    A table on a terminal; in a pipe one line for each letter, with tabs between id, code, tenant,
    student, times of rejection and redrive, and reason.
    """
    from workers.cli.rejected.actions import list_letters
    from workers.cli.rejected.choice import choice_of

    chosen = choice_of(ids, code, tenant, student, since, until, cursor, limit)
    list_letters(chosen, as_json=as_json)


@app.command()
def show(ids: Annotated[list[str], _IDS], as_json: Json = False) -> None:
    """Print whole dead letters with their events, without tokens."""
    from workers.cli.rejected.actions import show as show_letters
    from workers.cli.rejected.choice import letter_ids

    show_letters(letter_ids(ids), as_json=as_json)


@app.command()
def redrive(
    ids: Ids = None,
    code: Code = None,
    tenant: Tenant = None,
    student: Student = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    cursor: Cursor = None,
    everything: All = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Send dead letters again, each once; they stay listed until purged."""
    from workers.cli.rejected.actions import redrive as redrive_letters
    from workers.cli.rejected.choice import choice_of

    chosen = choice_of(ids, code, tenant, student, since, until, cursor, limit)
    chosen.require_intent("redrive", everything=everything)
    redrive_letters(chosen, dry_run=dry_run, as_json=as_json)


@app.command()
def purge(
    ids: Ids = None,
    code: Code = None,
    tenant: Tenant = None,
    student: Student = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    cursor: Cursor = None,
    everything: All = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete dead letters for good, redriven or not, after confirmation."""
    from workers.cli.rejected.actions import purge as purge_letters
    from workers.cli.rejected.choice import choice_of

    chosen = choice_of(ids, code, tenant, student, since, until, cursor, limit)
    chosen.require_intent("purge", everything=everything)
    purge_letters(chosen, dry_run=dry_run, yes=yes, as_json=as_json)
