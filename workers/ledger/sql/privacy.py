"""Export and erasure over their SQL functions."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from typing_extensions import override

from workers.common.errors import LedgerTooSlow
from workers.estimation.learner import LearnerKey
from workers.ledger.privacy import Erased, PrivacyLedger, Row
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.functions import SqlFunctions

_PLACES: Final = {
    "learners": {"after_id": "student_id"},
    "student_responses": {"after_at": "answered_at", "after_id": "response_id"},
    "response_corrections": {"after_version": "version", "after_id": "response_id"},
    "concept_mastery": {"after_id": "concept_id"},
    "student_ability": {"after_id": "scale"},
    "practice_sessions": {"after_id": "session_id"},
    "snapshots": {
        "after_version": "parameters_version",
        "after_at": "answered_at",
        "after_id": "response_id",
    },
    "untold": {"after_id": "id"},
}
"""Parameters of `mastery_held` that name the last row read, and the columns they come from."""

_ERASED_AT_ONCE: Final = 5_000
"""Rows that one statement deletes."""


class SqlPrivacy(SqlFunctions, PrivacyLedger):
    """Calls `mastery_held`, `mastery_erase` and `mastery_forget_erasures`."""

    @override
    async def rows_of(
        self, key: LearnerKey, table: str, after: Row | None = None, limit: int = 500
    ) -> Sequence[Row]:
        place = {} if after is None else {name: after[of] for name, of in _PLACES[table].items()}
        request = {
            "tenant": key.tenant_id,
            "student": key.student_id,
            "of": table,
            "limit": limit,
            **place,
        }
        answer = await self._call("mastery_held", request)
        with as_promised("mastery_held"):
            return [dict(row) for row in answer]

    @override
    async def erase(
        self, key: LearnerKey, until_ms: int, *, refuse: bool, dry_run: bool = False
    ) -> Erased:
        request = {
            "tenant": key.tenant_id,
            "student": key.student_id,
            "until_ms": until_ms,
            "refuse": refuse,
            "dry_run": dry_run,
        }
        gone, limit = Counter[str](), _ERASED_AT_ONCE
        while True:
            try:
                answer = await self._call("mastery_erase", {**request, "limit": limit})
            except LedgerTooSlow:
                if limit == 1 or dry_run:
                    raise
                limit //= 2
                continue
            with as_promised("mastery_erase"):
                gone.update(answer["rows"])
                if answer["done"]:
                    return Erased(answer["version"], dict(gone))

    @override
    async def forget_erasures(self, before_ms: int) -> int:
        answer = await self._call("mastery_forget_erasures", {"before_ms": before_ms})
        with as_promised("mastery_forget_erasures"):
            return int(answer[0])
