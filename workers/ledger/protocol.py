"""What the engine asks of the system of record; every adapter answers alike."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Commit, Committed, Loaded, Touched
from workers.ledger.rows import Stored

if TYPE_CHECKING:
    from workers.ledger.current import Current  # which needs `Recorded` of this module


class Ledger(Protocol):
    """The system of record. Every method raises `LedgerUnavailable` or `LedgerRefused`."""

    async def load(self, touched: Sequence[Touched]) -> list[Loaded]:
        """What is stored of these learners, in the same order; one round trip, one snapshot."""
        ...

    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Loaded]:
        """Store what is current, in one transaction; of a conflict the state as it is now.

        What was computed under other parameters than the active ones is a conflict, all of it.
        Repeating a commit whose outcome is unknown is safe: it then is a conflict in which the
        responses are recorded.
        """
        ...

    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """A page of all learners, in the order of their keys."""
        ...

    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        """Everything stored of these learners, in the same order."""
        ...

    async def current(
        self, keys: Sequence[LearnerKey], since_us: int | None = None
    ) -> "list[Current]":
        """What is current of these learners; those without any response are left out.

        Args:
            keys: the learners.
            since_us: only those with a response recorded at or after it, by the clock of
                `clock_us`; microseconds since 1970.
        """
        ...

    async def clock_us(self) -> int:
        """The ledger's own time, microseconds since 1970."""
        ...

    async def ping(self) -> None:
        """Return if the ledger answers and has the schema this version needs."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
