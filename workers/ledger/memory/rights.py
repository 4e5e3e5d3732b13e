"""Export and erasure of a ledger in memory: as the SQL functions do it."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from workers.common.times import iso
from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Erasure
from workers.ledger.memory.accounts import Account, copied
from workers.ledger.memory.concept_map import MemoryConceptMap
from workers.ledger.memory.parameters import MemoryParameters
from workers.ledger.repair import Untold
from workers.ledger.rights import TABLES, Erased, Row

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


class MemoryRights(MemoryParameters, MemoryConceptMap):
    """The part of `RightsLedger` that goes beyond `RepairLedger`."""

    def __init__(self) -> None:
        super().__init__()
        self._erasures: dict[LearnerKey, Erasure] = {}
        self._versions = count(1)
        self._untold: dict[int, Untold] = {}

    async def held(
        self, key: LearnerKey, table: str, after: Row | None = None, limit: int = 500
    ) -> Sequence[Row]:
        """See `RightsLedger.held`."""
        rows = self._rows(key)[table]
        first = 0 if after is None else rows.index(dict(after)) + 1
        return rows[first : first + limit]

    async def erase(
        self, key: LearnerKey, until_ms: int, *, refuse: bool, dry_run: bool = False
    ) -> Erased:
        """See `RightsLedger.erase`."""
        rows = {table: len(found) for table, found in self._rows(key).items()}
        if dry_run:
            return Erased(None, rows)
        known = self._erasures.get(key)
        self._erasures[key] = Erasure(max(until_ms, known.until_ms if known else 0), refuse)
        self._accounts.pop(key, None)
        for number in [n for n, one in self._untold.items() if one.key == key]:
            del self._untold[number]
        return Erased(next(self._versions), rows)

    async def forget_erasures(self, before_ms: int) -> int:
        """See `RightsLedger.forget_erasures`."""
        gone = [
            key
            for key, one in self._erasures.items()
            if not one.refuse and one.until_ms < before_ms
        ]
        for key in gone:
            del self._erasures[key]
        return len(gone)

    def _rows(self, key: LearnerKey) -> dict[str, list[dict[str, Any]]]:
        account = self._accounts.get(key)
        untold = [one for one in self._untold.values() if one.key == key]
        tables: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
        tables["untold"] = [
            {
                "id": one.number,
                "concept_id": one.change.concept_id,
                "version": one.version,
                "data": copied(one.change.data),
                "written_at": iso(one.written_at_us),
            }
            for one in untold
        ]
        if account is not None:
            tables |= _account_rows(account)
        return {table: [{**key._asdict(), **row} for row in rows] for table, rows in tables.items()}


def _account_rows(account: Account) -> dict[str, list[dict[str, Any]]]:
    kept = None if account.kept is None else dict(sorted(account.kept.items()))
    log = sorted(account.log.values(), key=lambda one: one.response.position)
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
                **{k: v for k, v in one.response._asdict().items() if k != "answered_at_us"},
                "concept_ids": list(one.response.concept_ids),
                "correct": one.response.correct,
                "answered_at": iso(one.response.answered_at_us),
                "recorded_at": iso(account.recorded_at_us[one.response.response_id]),
                "version": one.version,
                "entry": one.entry,
                "outcome": copied(one.outcome),
            }
            for one in log
        ],
        "response_corrections": [
            _with_moments(row._asdict())
            for row in sorted(account.corrections, key=lambda one: (one.version, one.response_id))
        ],
        "concept_mastery": [
            _with_nulls(_with_moments(account.concepts[name]._asdict()))
            for name in sorted(account.concepts)
        ],
        "student_ability": [
            _with_nulls(account.abilities[name]._asdict()) for name in sorted(account.abilities)
        ],
        "practice_sessions": [
            _with_moments(account.sessions[name]._asdict()) for name in sorted(account.sessions)
        ],
    }


def _with_nulls(row: dict[str, Any]) -> dict[str, Any]:
    """What only calibrated parameters give, as the tables have it."""
    made = row | {name: row[name] or None for name in _CALIBRATED & row.keys()}
    if made.get("gradient"):
        made["gradient"] = list(made["gradient"])
    return made


def _with_moments(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name.removesuffix("_us"): iso(value) if name.endswith("_us") else value
        for name, value in row.items()
    }
