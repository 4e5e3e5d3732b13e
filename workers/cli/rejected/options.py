"""The arguments and options of `mastery rejected`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from contracts.rejections import RejectionCode
from workers.operations.dead_letters.dead_letter import DeadLetterId


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-11-21 or 2026-11-21T09:30:00Z (UTC if no zone is "
            "given)"
        ) from None


def _letter_id(text: str) -> DeadLetterId:
    try:
        return DeadLetterId.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Ids = Annotated[
    list[DeadLetterId] | None,
    typer.Argument(parser=_letter_id, metavar="ID", help="Ids, as `list` prints them."),
]
Code = Annotated[list[RejectionCode] | None, typer.Option(help="May be given several times.")]
Tenant = Annotated[str | None, typer.Option(help="The tenant that the event claims.")]
Student = Annotated[str | None, typer.Option(help="The student that the event claims.")]
Since = Annotated[
    datetime | None,
    typer.Option(parser=_moment, metavar="TIME", help="Rejected then or later (Redis's clock)."),
]
Until = Annotated[
    datetime | None, typer.Option(parser=_moment, metavar="TIME", help="Rejected before then.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many.")]
Cursor = Annotated[
    DeadLetterId | None,
    typer.Option(parser=_letter_id, metavar="CURSOR", help="Go on behind this one."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count; change nothing.")]
All = Annotated[bool, typer.Option("--all", help="All dead letters; needed where no filter is.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Limited = Annotated[int, typer.Option(min=1, help="At most so many.")]
SomeIds = Annotated[
    list[DeadLetterId],
    typer.Argument(parser=_letter_id, metavar="ID", help="Ids, as `list` prints them."),
]
