"""The arguments and options of `mastery response`."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import typer

from workers.common.times import to_us
from workers.estimation.learner import LearnerKey
from workers.ledger.repair import ItemSpan

_REASON_LENGTH: Final = 1000


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-11-21 or 2026-11-21T09:30:00Z (UTC if no zone is "
            "given)"
        ) from None


def _response_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no UUID: give the response_id") from None


def _reason(text: str) -> str:
    if not text.strip() or "\0" in text or len(text) > _REASON_LENGTH:
        raise typer.BadParameter(f"say why in 1 to {_REASON_LENGTH} characters")
    return text.strip()


ResponseId = Annotated[
    str | None,
    typer.Argument(parser=_response_id, metavar="[RESPONSE_ID]", help="One response."),
]
Tenant = Annotated[str, typer.Option(help="The tenant.")]
Student = Annotated[str | None, typer.Option(help="The student of the one response.")]
Item = Annotated[str | None, typer.Option(help="Instead: all responses to this item.")]
Since = Annotated[
    datetime | None,
    typer.Option(parser=_moment, metavar="TIME", help="Only those answered then or later."),
]
Until = Annotated[
    datetime | None,
    typer.Option(parser=_moment, metavar="TIME", help="Only those answered before then."),
]
Reason = Annotated[str, typer.Option(parser=_reason, help="Why; kept with the correction.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count; change nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def wanted_of(  # noqa: PLR0917  # as the commands have them
    response_id: str | None,
    tenant: str,
    student: str | None,
    item: str | None,
    since: datetime | None,
    until: datetime | None,
) -> tuple[LearnerKey, str] | ItemSpan:
    """Which responses the options name: one, or those to an item."""
    if (response_id is None) == (item is None):
        raise typer.BadParameter("give a RESPONSE_ID with --student, or --item, one of them")
    if item is not None:
        if student is not None:
            raise typer.BadParameter("--item means all students of the tenant: leave --student out")
        return ItemSpan(
            tenant,
            item,
            None if since is None else to_us(since),
            None if until is None else to_us(until),
        )
    if since is not None or until is not None:
        raise typer.BadParameter("--since and --until belong to --item")
    if student is None or response_id is None:
        raise typer.BadParameter("a RESPONSE_ID needs --student: ids are the student's own")
    return LearnerKey(tenant, student), response_id
