"""The hot path: what the engine calls of the system of record for each batch."""

from collections.abc import Sequence
from typing import Protocol

from workers.ledger.exchange import Commit, Committed, Loaded, Touched


class RecordingLedger(Protocol):
    """Loads learners and commits their new states.

    Every method raises `LedgerUnavailable` or `LedgerRefused`.
    """

    async def load(self, touched: Sequence[Touched]) -> list[Loaded]:
        """Load these learners, in the same order; one round trip, one snapshot."""
        ...

    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Loaded]:
        """Store each commit whose learner has not changed since it was loaded, in one transaction.

        A commit under other parameters than the active ones is a conflict. Repeating a commit with
        an unknown result is safe: it then is a conflict, and the responses are in the log.

        Returns:
            One answer for each commit, in the same order; for a conflict the current state.
        """
        ...

    async def ping(self) -> None:
        """Return if the ledger answers and has the schema this version needs."""
        ...
