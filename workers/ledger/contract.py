"""The ledger over its SQL functions, whatever carries the call."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from workers.errors import LedgerRefused
from workers.estimation.learner import LearnerKey
from workers.ledger.documents import (
    commit_request,
    encoded,
    load_request,
    page_request,
    read_commit,
    read_load,
    read_stored,
    whole_request,
)
from workers.ledger.protocol import Commit, Committed, Loaded, Stored, Touched


class SqlLedger(ABC):
    """`workers.ledger.protocol.Ledger` on the functions of the migrations."""

    @abstractmethod
    async def _call(self, function: str, document: dict[str, Any]) -> Any:
        """Call a function with a document; raise `LedgerUnavailable` and its like."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of all connections."""

    async def load(self, touched: Sequence[Touched]) -> list[Loaded]:
        """See `Ledger.load`."""
        keys = [one.key for one in touched]
        answer = await self._call("mastery_load", load_request(touched))
        with _as_promised("mastery_load"):
            return read_load(answer, keys)

    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Loaded]:
        """See `Ledger.commit`."""
        outcomes = [encoded(outcome) for commit in commits for outcome in commit.outcomes]
        answer = await self._call("mastery_commit", commit_request(commits, outcomes))
        with _as_promised("mastery_commit"):
            return read_commit(answer, commits)

    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """See `Ledger.learners`."""
        page = await self._call("mastery_learners", page_request(after, limit))
        with _as_promised("mastery_learners"):
            return [LearnerKey(tenant, student) for tenant, student in page]

    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        """See `Ledger.stored`."""
        answer = await self._call("mastery_load", whole_request(keys))
        with _as_promised("mastery_load"):
            return read_stored(answer, keys)

    async def ping(self) -> None:
        """See `Ledger.ping`."""
        await self.learners(limit=1)


@contextmanager
def _as_promised(function: str) -> Iterator[None]:
    """Stop at an answer of another shape: else it would look like the fault of each event."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise LedgerRefused(
            f"{function} answers in another shape ({type(error).__name__}); run `mastery migrate "
            "up`: the schema is not that of this version"
        ) from error
