"""Export and erasure of everything stored about a learner."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from workers.estimation.learner import LearnerKey

Row = Mapping[str, Any]
"""A row of a table: its columns by name, as JSON carries them."""

TABLES: Final = (
    "learners",
    "student_responses",
    "response_corrections",
    "concept_mastery",
    "student_ability",
    "practice_sessions",
    "snapshots",
    "untold",
)
"""All tables that hold anything of a learner."""


@dataclass(slots=True)
class Erased:
    """Result of an erasure.

    Args:
        version: higher than the version of any row or event before the erasure; None if rows
            were only counted.
        rows: number of rows by table.
    """

    version: int | None
    rows: dict[str, int] = field(default_factory=dict)


class PrivacyLedger(Protocol):
    """Exports and erases learners."""

    async def rows_of(
        self, key: LearnerKey, table: str, after: Row | None = None, limit: int = 500
    ) -> Sequence[Row]:
        """Read a page of the rows that a table has of a learner.

        Args:
            key: the learner.
            table: one of `TABLES`.
            after: the last row of the page before.
            limit: the most rows to return.
        """
        ...

    async def erase(
        self, key: LearnerKey, until_ms: int, *, refuse: bool, dry_run: bool = False
    ) -> Erased:
        """Erase everything stored about a learner, in as many transactions as needed.

        No commit brings back what entered a stream before. The first transaction records the
        erasure; until the last, nothing of the learner is committed, and readers see ever fewer
        rows: states go before the log. Repeating a call is safe, and finishes one that broke off.

        Args:
            key: the learner.
            until_ms: entries that entered a stream up to this moment are erased as well, by
                Redis's clock; milliseconds since 1970.
            refuse: True to refuse later entries.
            dry_run: only count.
        """
        ...

    async def forget_erasures(self, before_ms: int) -> int:
        """Forget erasures of entries before this moment, unless they refuse later ones.

        Args:
            before_ms: milliseconds since 1970.

        Returns:
            The number of erasures forgotten.
        """
        ...
