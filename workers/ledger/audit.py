"""The protocol of those who compare stored states with the log."""

from collections.abc import Sequence
from typing import Protocol

from workers.estimation.learner import LearnerKey, Position
from workers.ledger.rows import AuditPage, Stored


class AuditLedger(Protocol):
    """Lists learners and reads everything stored about them."""

    async def holders(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """List a page of the learners that have a row in any table, by their keys.

        Rows of a learner whose own row was lost count too.
        """
        ...

    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """List a page of all learners, by their keys."""
        ...

    async def sample(self, count: int) -> list[LearnerKey]:
        """Draw this many learners at random; all of them if there are no more."""
        ...

    async def stored(
        self, keys: Sequence[LearnerKey], most_answers: int | None = None
    ) -> list[Stored]:
        """Read everything stored about these learners, in the same order.

        Args:
            keys: the learners.
            most_answers: the most responses to return; None: all. A learner whose log does not fit
                comes without it.
        """
        ...

    async def audit_page(self, key: LearnerKey, after: Position | None, limit: int) -> AuditPage:
        """Read the next responses of a learner as they are stored, in the learner's order.

        Args:
            key: the learner.
            after: the position after which to begin; None: the beginning.
            limit: the most responses to read.
        """
        ...

    async def published(self, key: LearnerKey, response_ids: Sequence[str]) -> AuditPage:
        """Read these responses of a learner as they are stored; those that exist, in any order."""
        ...
