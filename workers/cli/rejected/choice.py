"""Choose the dead letters of a command."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import typer

from contracts.rejections import RejectionCode
from workers.operations.dead_letters.dead_letter import DeadLetterId
from workers.operations.dead_letters.selection import Selection


@dataclass(frozen=True, slots=True)
class Choice:
    """Dead letters by their ids or, without ids, by a selection.

    Args:
        ids: the ids.
        selection: the filters, unused with ids.
        cursor: start after this dead letter.
        limit: at most this many.
    """

    ids: tuple[DeadLetterId, ...] = ()
    selection: Selection = field(default_factory=Selection)
    cursor: DeadLetterId | None = None
    limit: int | None = None

    def require_intent(self, verb: str, *, everything: bool) -> None:
        """Refuse to act on all dead letters unless `--all` says so.

        Raises:
            BadParameter: neither ids, filters nor `--all`, or `--all` with any of them.
        """
        narrowed = bool(self.ids) or not self.selection.everything
        if narrowed and everything:
            raise typer.BadParameter("--all excludes ids and filters: omit one of them")
        if not narrowed and not everything:
            raise typer.BadParameter(f"name what to {verb}: ids, a filter, or --all for everything")


def choice_of(  # noqa: PLR0917  # in the order of the options
    ids: Sequence[str] | None,
    codes: Sequence[str] | None,
    tenant: str | None,
    student: str | None,
    since: datetime | None,
    until: datetime | None,
    cursor: str | None,
    limit: int | None,
) -> Choice:
    """Return the choice that the options describe.

    Raises:
        BadParameter: an id or the cursor is malformed, or ids come with filters.
    """
    selection = Selection.of(
        codes=frozenset(map(RejectionCode, codes or ())),
        tenant_id=tenant,
        student_id=student,
        since=since,
        until=until,
    )
    if ids and not (selection.everything and cursor is None):
        raise typer.BadParameter("give ids or filters, not both")
    return Choice(
        tuple(dict.fromkeys(letter_ids(ids or ()))),
        selection,
        None if cursor is None else _letter_id(cursor, "--cursor"),
        None if ids else limit,
    )


def letter_ids(texts: Sequence[str]) -> list[DeadLetterId]:
    """Return the ids that arguments name.

    Raises:
        BadParameter: an id is malformed.
    """
    return [_letter_id(text, "ID") for text in texts]


def _letter_id(text: str, parameter: str) -> DeadLetterId:
    try:
        return DeadLetterId.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=parameter) from None
