"""Load and commit over their SQL functions."""

from collections.abc import Sequence

from typing_extensions import override

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
from workers.ledger.recording import RecordingLedger
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.commit import commit_request, read_commit
from workers.ledger.sql.documents import encoded, position_request
from workers.ledger.sql.functions import SqlFunctions
from workers.ledger.sql.load import load_request, read_load, read_page


class SqlRecording(SqlFunctions, RecordingLedger):
    """Calls `mastery_load` and `mastery_commit`."""

    @override
    async def load(
        self, touched: Sequence[Touched], most_answers: int = MOST_ANSWERS
    ) -> list[Loaded]:
        keys = [learner.key for learner in touched]
        answer = await self._call("mastery_load", load_request(touched, most_answers))
        with as_promised("mastery_load"):
            return read_load(answer, keys, asked=any(learner.arrivals for learner in touched))

    @override
    async def log_page(self, key: LearnerKey, after: Position | None, limit: int) -> LogPage:
        answer = await self._call("mastery_log_page", position_request(key, after, limit))
        with as_promised("mastery_log_page"):
            return read_page(answer)

    @override
    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Conflict]:
        outcomes = [encoded(outcome) for commit in commits for outcome in commit.outcomes]
        answer = await self._call("mastery_commit", commit_request(commits, outcomes))
        with as_promised("mastery_commit"):
            return read_commit(answer, commits)
