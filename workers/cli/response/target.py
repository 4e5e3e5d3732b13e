"""The responses that `mastery response` corrects."""

from datetime import datetime

import typer

from workers.common.times import to_us
from workers.estimation.learner import LearnerKey
from workers.ledger.repair import ItemSpan

Target = tuple[LearnerKey, str] | ItemSpan
"""One response of a learner, or all responses to an item."""


def target_of(  # noqa: PLR0917  # in the order of the options
    response_id: str | None,
    tenant: str,
    student: str | None,
    item: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Target:
    """Return the responses that the options name.

    Raises:
        BadParameter: options are missing, or exclude each other.
    """
    if (response_id is None) == (item is None):
        raise typer.BadParameter("give either a RESPONSE_ID with --student, or --item")
    if item is not None:
        if student is not None:
            raise typer.BadParameter("--item covers all students of the tenant: omit --student")
        return ItemSpan(
            tenant,
            item,
            None if since is None else to_us(since),
            None if until is None else to_us(until),
        )
    if since is not None or until is not None:
        raise typer.BadParameter("--since and --until need --item")
    if student is None or response_id is None:
        raise typer.BadParameter("a RESPONSE_ID needs --student: ids are unique per student only")
    return LearnerKey(tenant, student), response_id
