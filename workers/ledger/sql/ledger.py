"""The ledger over its SQL functions, whatever carries the call."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from workers.estimation.learner import LearnerKey
from workers.ledger.current import Current
from workers.ledger.exchange import Commit, Committed, Loaded, Touched
from workers.ledger.predictions import (
    Place,
    PredictionPage,
    Selection,
    predictions_request,
    read_predictions,
)
from workers.ledger.repair import Answers, ItemSpan, Rewrite, Untold
from workers.ledger.rights import Erased, Row, erase_request, held_request
from workers.ledger.rows import Stored
from workers.ledger.sql.answers import as_promised as _as_promised
from workers.ledger.sql.arrays import plain
from workers.ledger.sql.audit_and_rewrite import (
    answers_request,
    audit_request,
    read_answers,
    read_audit,
    read_untold,
    rewrite_request,
    seal_request,
)
from workers.ledger.sql.calibration import SqlCalibration
from workers.ledger.sql.concept_map import SqlConceptMap
from workers.ledger.sql.current import current_request, read_current
from workers.ledger.sql.load_and_commit import (
    commit_request,
    encoded,
    load_request,
    page_request,
    read_commit,
    read_load,
)
from workers.ledger.sql.parameters import SqlParameters


class SqlLedger(SqlParameters, SqlCalibration, SqlConceptMap):
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
            return read_load(answer, keys, asked=any(one.arrivals for one in touched))

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
        answer = await self._call("mastery_audit", audit_request(keys))
        with _as_promised("mastery_audit"):
            return read_audit(answer, keys)

    async def current(
        self, keys: Sequence[LearnerKey], since_us: int | None = None
    ) -> list[Current]:
        """See `Ledger.current`."""
        answer = await self._call("mastery_current", current_request(keys, since_us))
        with _as_promised("mastery_current"):
            return read_current(answer, keys)

    async def clock_us(self) -> int:
        """See `Ledger.clock_us`."""
        answer = await self._call("mastery_current", current_request([], None))
        with _as_promised("mastery_current"):
            return int(answer["now"])

    async def ping(self) -> None:
        """See `Ledger.ping`."""
        # As a write: a server that only reads is of no use.
        await self.forget_erasures(0)
        # Of the newest schema; nothing is looked at.
        await self.predictions(Selection(), limit=0)

    async def holders(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """See `RepairLedger.holders`."""
        return await self._keys(page_request(after, limit))

    async def sample(self, count: int) -> list[LearnerKey]:
        """See `RepairLedger.sample`."""
        return await self._keys({"sample": count})

    async def _keys(self, request: dict[str, Any]) -> list[LearnerKey]:
        page = await self._call("mastery_holders", request)
        with _as_promised("mastery_holders"):
            return [LearnerKey(tenant, student) for tenant, student in page]

    async def count(self) -> int:
        """See `RepairLedger.count`."""
        answer = await self._call("mastery_holders", {"count": True})
        with _as_promised("mastery_holders"):
            return int(answer[0])

    async def answers(
        self, span: ItemSpan, after: LearnerKey | None = None, limit: int = 500
    ) -> Answers:
        """See `RepairLedger.answers`."""
        answer = await self._call("mastery_answers", answers_request(span, after, limit))
        with _as_promised("mastery_answers"):
            return read_answers(answer, span.tenant_id)

    async def predictions(
        self, selection: Selection, after: Place | None = None, limit: int = 5_000
    ) -> PredictionPage:
        """See `PredictionsLedger.predictions`."""
        request = predictions_request(selection, after, limit)
        answer = await self._call("mastery_predictions", request)
        with _as_promised("mastery_predictions"):
            return read_predictions(answer)

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        """See `RepairLedger.rewrite`."""
        answer = await self._call("mastery_rewrite", rewrite_request(rewrites))
        with _as_promised("mastery_rewrite"):
            return list(answer)

    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        """See `RepairLedger.seal`."""
        answer = await self._call("mastery_seal", seal_request(audited, accept=accept))
        with _as_promised("mastery_seal"):
            return list(answer)

    async def untold(self, limit: int = 500, lease_s: float = 30.0) -> list[Untold]:
        """See `RepairLedger.untold`."""
        answer = await self._call("mastery_untold", {"limit": limit, "lease_s": lease_s})
        with _as_promised("mastery_untold"):
            return read_untold(answer)

    async def told(self, numbers: Sequence[int]) -> None:
        """See `RepairLedger.told`."""
        await self._call("mastery_told", {"ids": plain(numbers)})

    async def held(
        self, key: LearnerKey, table: str, after: Row | None = None, limit: int = 500
    ) -> Sequence[Row]:
        """See `RightsLedger.held`."""
        answer = await self._call("mastery_held", held_request(key, table, after, limit))
        with _as_promised("mastery_held"):
            return [dict(row) for row in answer]

    async def erase(
        self, key: LearnerKey, until_ms: int, *, refuse: bool, dry_run: bool = False
    ) -> Erased:
        """See `RightsLedger.erase`."""
        request = erase_request(key, until_ms, refuse=refuse, dry_run=dry_run)
        answer = await self._call("mastery_erase", request)
        with _as_promised("mastery_erase"):
            return Erased(answer["version"], dict(answer["rows"]))

    async def forget_erasures(self, before_ms: int) -> int:
        """See `RightsLedger.forget_erasures`."""
        answer = await self._call("mastery_forget_erasures", {"before_ms": before_ms})
        with _as_promised("mastery_forget_erasures"):
            return int(answer[0])
