"""The protocol of those who compare stored states with the log."""

from collections.abc import Sequence
from typing import Protocol

from workers.estimation.learner import LearnerKey
from workers.ledger.rows import Stored


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

    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        """Read everything stored about these learners, in the same order."""
        ...
