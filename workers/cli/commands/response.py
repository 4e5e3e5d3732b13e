"""`mastery response void|rescore`: corrections of recorded responses."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import typer

from workers.cli.choices import DEFAULT_TENANT
from workers.cli.commands.options import Json, Tenant, time_option

app = typer.Typer(
    help="Void or rescore recorded responses; the log keeps the original.", no_args_is_help=True
)

_REASON_LENGTH: Final = 1000


def _response_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a UUID: give the response_id") from None


def _reason(text: str) -> str:
    if not text.strip() or "\0" in text or len(text) > _REASON_LENGTH:
        raise typer.BadParameter(f"give a reason of 1 to {_REASON_LENGTH} characters")
    return text.strip()


ResponseId = Annotated[
    str | None,
    typer.Argument(parser=_response_id, metavar="[RESPONSE_ID]", help="One response."),
]
Student = Annotated[str | None, typer.Option(help="The student who gave the response.")]
Item = Annotated[str | None, typer.Option(help="All responses to this item instead.")]
Since = Annotated[datetime | None, time_option("Only responses answered at this time or later.")]
Until = Annotated[datetime | None, time_option("Only responses answered before this time.")]
Reason = Annotated[str, typer.Option(parser=_reason, help="The reason, kept with the correction.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count; change nothing.")]


@app.command()
def void(
    reason: Reason,
    response_id: ResponseId = None,
    tenant: Tenant = DEFAULT_TENANT,
    student: Student = None,
    item: Item = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Exclude a response, or all responses to an item, from estimates; rescore undoes it."""
    from workers.cli.response.actions import correct
    from workers.cli.response.target import target_of
    from workers.operations.repair.correcting import Verdict

    target = target_of(response_id, tenant, student, item, since, until)
    correct(target, Verdict("void", reason), dry_run=dry_run, as_json=as_json)


@app.command()
def rescore(
    reason: Reason,
    response_id: ResponseId = None,
    score: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="The score to count instead.")
    ] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="Count correct as wrong and wrong as correct.")
    ] = False,
    tenant: Tenant = DEFAULT_TENANT,
    student: Student = None,
    item: Item = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Count a response, or all responses to an item, with another score."""
    if flip == (score is not None):
        raise typer.BadParameter("give either --score or --flip")
    if score is not None and not 0.0 <= score <= 1.0:  # typer's own check accepts NaN
        raise typer.BadParameter("--score must lie between 0.0 and 1.0")
    from workers.cli.response.actions import correct
    from workers.cli.response.target import target_of
    from workers.operations.repair.correcting import Verdict

    target = target_of(response_id, tenant, student, item, since, until)
    verdict = Verdict("flip", reason) if flip else Verdict("rescore", reason, score)
    correct(target, verdict, dry_run=dry_run, as_json=as_json)
