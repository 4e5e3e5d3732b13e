"""Everything that is stored, read with plain SQL."""

from dataclasses import dataclass
from typing import Any

from tests.model.publishing import Answer
from workers.common.times import to_us

Learner = tuple[str, str]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Tables:
    """The rows of all tables."""

    learners: dict[Learner, Any]
    log: dict[Key, Any]
    """Rows by tenant, student and response."""
    concepts: dict[Key, Any]
    abilities: dict[Key, Any]
    sessions: dict[Key, Any]
    snapshots: list[Any]

    @classmethod
    async def read(cls, connection: Any) -> "Tables":
        learners = await connection.fetch("select * from mastery.learners")
        return cls(
            {(row["tenant_id"], row["student_id"]): row for row in learners},
            _by_name(
                await connection.fetch("select * from public.student_responses"), "response_id"
            ),
            _by_name(await connection.fetch("select * from public.concept_mastery"), "concept_id"),
            _by_name(await connection.fetch("select * from public.student_ability"), "scale"),
            _by_name(
                await connection.fetch("select * from public.practice_sessions"), "session_id"
            ),
            await connection.fetch("select * from mastery.snapshots"),
        )


def answer_of(row: Any) -> Answer:
    """The answer that a row of the log holds."""
    return Answer(
        row["tenant_id"],
        row["student_id"],
        str(row["response_id"]),
        row["session_id"],
        row["item_id"],
        tuple(row["concept_ids"]),
        row["scale"],
        row["score"],
        to_us(row["answered_at"]),
    )


def _by_name(rows: list[Any], column: str) -> dict[Key, Any]:
    return {(row["tenant_id"], row["student_id"], str(row[column])): row for row in rows}
