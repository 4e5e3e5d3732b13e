"""The hot path: what the engine calls of the system of record for each batch."""

from collections.abc import Sequence
from typing import Protocol

from workers.estimation.learner import LearnerKey, Position
from workers.ledger.exchange import (
    MOST_ANSWERS,
    Commit,
    Committed,
    Conflict,
    Loaded,
    LogPage,
    Touched,
)


class RecordingLedger(Protocol):
    """Loads learners and commits their new states.

    Every method raises `LedgerUnavailable` or `LedgerRefused`.
    """

    async def load(
        self, touched: Sequence[Touched], most_answers: int = MOST_ANSWERS
    ) -> list[Loaded]:
        """Load these learners, in the same order; one round trip, one snapshot.

        Args:
            touched: the learners.
            most_answers: the most stored answers to return, and `MOST_REPLAYED` of these of
                learners with no late answer. A log that does not fit is left out.
        """
        ...

    async def log_page(self, key: LearnerKey, after: Position | None, limit: int) -> LogPage:
        """Read the next responses of a learner's log, in the learner's order.

        Args:
            key: the learner.
            after: the position after which to begin; None: the beginning.
            limit: the most responses to read.
        """
        ...

    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Conflict]:
        """Store each commit whose learner has not changed since it was loaded, in one transaction.

        A commit that takes another version of the parameters as active is a conflict. Repeating a
        commit with an unknown result is safe: it then is a conflict, and the responses are in the
        log.

        Returns:
            One answer for each commit, in the same order.
        """
        ...

    async def ping(self) -> None:
        """Return if the ledger answers and has the schema this version needs."""
        ...
