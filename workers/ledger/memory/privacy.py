"""Export and erasure of a ledger in memory."""

import json
from collections.abc import Sequence
from typing import Any, Final

from typing_extensions import override

from workers.common.times import iso
from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Erasure
from workers.ledger.memory.accounts import Account, copied
from workers.ledger.memory.tables import MemoryTables
from workers.ledger.privacy import TABLES, Erased, PrivacyLedger, Row

_CALIBRATED: Final = frozenset(
    {
        "deviation",
        "deviation_variance",
        "gradient",
        "recent",
        "lasting",
        "variance",
        "surprise",
        "surprise_variance",
    }
)


class MemoryPrivacy(MemoryTables, PrivacyLedger):
    """Exports and erases learners as the SQL functions do."""

    @override
    async def rows_of(
        self, key: LearnerKey, table: str, after: Row | None = None, limit: int = 500
    ) -> Sequence[Row]:
        rows = self._rows(key)[table]
        first = 0 if after is None else rows.index(dict(after)) + 1
        return rows[first : first + limit]

    @override
    async def erase(
        self, key: LearnerKey, until_ms: int, *, refuse: bool, dry_run: bool = False
    ) -> Erased:
        counts = {table: len(rows) for table, rows in self._rows(key).items()}
        if dry_run:
            return Erased(None, counts)
        known = self._erasures.get(key)
        self._erasures[key] = Erasure(max(until_ms, known.until_ms if known else 0), refuse)
        self._accounts.pop(key, None)
        for number in [n for n, change in self._pending.items() if change.key == key]:
            del self._pending[number]
        return Erased(next(self._versions), counts)

    @override
    async def forget_erasures(self, before_ms: int) -> int:
        gone = [
            key
            for key, erasure in self._erasures.items()
            if not erasure.refuse and erasure.until_ms < before_ms
        ]
        for key in gone:
            del self._erasures[key]
        return len(gone)

    def _rows(self, key: LearnerKey) -> dict[str, list[dict[str, Any]]]:
        account = self._accounts.get(key)
        tables: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
        tables["untold"] = [
            {
                "id": pending.number,
                "concept_id": pending.change.concept_id,
                "version": pending.version,
                "data": copied(pending.change.data),
                "written_at": iso(pending.written_at_us),
            }
            for pending in self._pending.values()
            if pending.key == key
        ]
        if account is not None:
            tables |= _account_rows(account)
        return {table: [{**key._asdict(), **row} for row in rows] for table, rows in tables.items()}


def _account_rows(account: Account) -> dict[str, list[dict[str, Any]]]:
    kept = None if account.kept is None else dict(sorted(account.kept.items()))
    log = sorted(account.log.values(), key=lambda recorded: recorded.response.position)
    return {
        "learners": [
            {
                "version": account.version,
                "answered_at": account.last and iso(account.last.answered_at_us),
                "response_id": account.last and account.last.response_id,
                "parameters_version": account.parameters_version,
                "responses": len(account.log),
                "corrections": len(account.corrections),
                "rate_windows": kept and list(kept),
                "rate_counts": kept and list(kept.values()),
            }
        ],
        "student_responses": [
            {
                **{k: v for k, v in recorded.response._asdict().items() if k != "answered_at_us"},
                "concept_ids": list(recorded.response.concept_ids),
                "correct": recorded.response.correct,
                "answered_at": iso(recorded.response.answered_at_us),
                "recorded_at": iso(account.recorded_at_us[recorded.response.response_id]),
                "version": recorded.version,
                "entry": recorded.entry,
                "outcome": copied(recorded.outcome),
            }
            for recorded in log
        ],
        "response_corrections": [
            _with_times(row._asdict())
            for row in sorted(account.corrections, key=lambda row: (row.version, row.response_id))
        ],
        "concept_mastery": [
            _with_nulls(_with_times(account.concepts[name]._asdict()))
            for name in sorted(account.concepts)
        ],
        "student_ability": [
            _with_nulls(account.abilities[name]._asdict()) for name in sorted(account.abilities)
        ],
        "practice_sessions": [
            _with_times(account.sessions[name]._asdict()) for name in sorted(account.sessions)
        ],
        "snapshots": [
            {
                "parameters_version": version,
                "answered_at": iso(position.answered_at_us),
                "response_id": position.response_id,
                "responses": snapshot.responses,
                "state": json.dumps([snapshot.concepts, snapshot.abilities]),
            }
            for (version, position), snapshot in sorted(account.snapshots.items())
        ],
    }


def _with_nulls(row: dict[str, Any]) -> dict[str, Any]:
    """Write the columns of calibrated parameters as the tables have them: null in place of 0."""
    written = row | {name: row[name] or None for name in _CALIBRATED & row.keys()}
    if written.get("gradient"):
        written["gradient"] = list(written["gradient"])
    return written


def _with_times(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name.removesuffix("_us"): iso(value) if name.endswith("_us") else value
        for name, value in row.items()
    }
