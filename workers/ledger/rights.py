"""What the rights of a learner ask of the system of record: all that is held, and its erasure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from workers.estimation.learner import LearnerKey
from workers.ledger.concept_map import ConceptLedger
from workers.ledger.predictions import PredictionsLedger
from workers.ledger.repair import RepairLedger

Row = Mapping[str, Any]
"""A row of a table: its columns by name, as JSON carries them."""

TABLES: Final = (
    "learners",
    "student_responses",
    "response_corrections",
    "concept_mastery",
    "student_ability",
    "practice_sessions",
    "untold",
)
"""All tables that hold anything of a learner."""

_PLACES: Final = {
    "learners": {"after_id": "student_id"},
    "student_responses": {"after_at": "answered_at", "after_id": "response_id"},
    "response_corrections": {"after_version": "version", "after_id": "response_id"},
    "concept_mastery": {"after_id": "concept_id"},
    "student_ability": {"after_id": "scale"},
    "practice_sessions": {"after_id": "session_id"},
    "untold": {"after_id": "id"},
}


@dataclass(slots=True)
class Erased:
    """What an erasure took away.

    Args:
        version: no row or event of the time before has a higher one; None where it was only
            counted.
        rows: how many rows of each table.
    """

    version: int | None
    rows: dict[str, int] = field(default_factory=dict)


class RightsLedger(RepairLedger, ConceptLedger, PredictionsLedger, Protocol):
    """All of the system of record; here what those ask who hand out or erase what it has."""

    async def held(
        self, key: LearnerKey, table: str, after: Row | None = None, limit: int = 500
    ) -> Sequence[Row]:
        """A page of the rows that a table has of a learner.

        Args:
            key: who.
            table: one of `TABLES`.
            after: the last row of the page before.
            limit: at most so many.
        """
        ...

    async def erase(
        self, key: LearnerKey, until_ms: int, *, refuse: bool, dry_run: bool = False
    ) -> Erased:
        """Erase all that is held of a learner, in one transaction.

        No commit brings back what entered a stream before. Repeating a call is safe.

        Args:
            key: who.
            until_ms: what entered a stream up to then is erased as well, by Redis's clock;
                milliseconds since 1970.
            refuse: whether what enters later is refused.
            dry_run: only count.
        """
        ...

    async def forget_erasures(self, before_ms: int) -> int:
        """Forget erasures of entries up to before this moment, unless later ones are refused."""
        ...


def held_request(key: LearnerKey, table: str, after: Row | None, limit: int) -> dict[str, Any]:
    """The request of `mastery_held`."""
    place = {} if after is None else {name: after[of] for name, of in _PLACES[table].items()}
    return {
        "tenant": key.tenant_id,
        "student": key.student_id,
        "of": table,
        "limit": limit,
        **place,
    }


def erase_request(key: LearnerKey, until_ms: int, *, refuse: bool, dry_run: bool) -> dict[str, Any]:
    """The request of `mastery_erase`."""
    return {
        "tenant": key.tenant_id,
        "student": key.student_id,
        "until_ms": until_ms,
        "refuse": refuse,
        "dry_run": dry_run,
    }
