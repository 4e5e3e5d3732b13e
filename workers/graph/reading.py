"""Paged reads for a comparison with the ledger, the same for every graph."""

from collections.abc import Sequence
from typing import Any

from workers.estimation.learner import LearnerKey
from workers.graph.changes import AbilityChange, AttendanceChange, MasteryChange
from workers.graph.protocol import SessionKey, StoredLearner, StoredSession
from workers.graph.repairs import node_rows
from workers.graph.statements import Read, Row, statement
from workers.graph.unlocking import Unlocked, unlocked_of


async def students(read: Read, after: LearnerKey | None, limit: int) -> list[LearnerKey]:
    """List the next `limit` students."""
    return [LearnerKey(*row.values()) for row in await _page(read, "students", after, limit)]


async def learners(read: Read, keys: Sequence[LearnerKey]) -> list[StoredLearner]:
    """Read students with all their relationships, in the order of the keys."""
    learners_by_key = {key: StoredLearner(key) for key in keys}
    if learners_by_key:
        rows = {"rows": node_rows(learners_by_key)}
        for row in await read(statement("mastery_of_students"), rows):
            mastery = MasteryChange(**row)
            learners_by_key[_learner(mastery)].mastery.append(mastery)
        for row in await read(statement("ability_of_students"), rows):
            ability = AbilityChange(**row)
            learners_by_key[_learner(ability)].abilities.append(ability)
        for row in await read(statement("attendance_of_students"), rows):
            attendance = AttendanceChange(**row)
            learners_by_key[_learner(attendance)].attendance.append(attendance)
        for row in await read(statement("unlocked_of_students"), rows):
            unlocked = unlocked_of(row)
            learners_by_key[_learner(unlocked)].unlocked.append(unlocked)
    return list(learners_by_key.values())


async def session_keys(read: Read, after: SessionKey | None, limit: int) -> list[SessionKey]:
    """List the next `limit` practice sessions."""
    return [SessionKey(*row.values()) for row in await _page(read, "sessions", after, limit)]


async def practised(read: Read, keys: Sequence[SessionKey]) -> list[StoredSession]:
    """Read practice sessions with the concepts practised in them, in the order of the keys."""
    sessions = {key: StoredSession(key) for key in keys}
    if sessions:
        for row in await read(statement("practised_in_sessions"), {"rows": node_rows(sessions)}):
            key = SessionKey(row["tenant_id"], row["session_id"])
            sessions[key].concept_ids.append(row["concept_id"])
    return list(sessions.values())


async def attendees(read: Read, keys: Sequence[SessionKey]) -> dict[SessionKey, list[LearnerKey]]:
    """List the students who attended each practice session."""
    students_of: dict[SessionKey, list[LearnerKey]] = {key: [] for key in keys}
    if students_of:
        for row in await read(statement("attendees_of_sessions"), {"rows": node_rows(students_of)}):
            key = SessionKey(row["tenant_id"], row["session_id"])
            students_of[key].append(LearnerKey(row["student_tenant_id"], row["student_id"]))
    return students_of


async def alone_students(read: Read, keys: Sequence[LearnerKey]) -> list[LearnerKey]:
    """Select the students that exist without any relationship."""
    rows = await read(statement("alone_students"), {"rows": node_rows(keys)})
    return [LearnerKey(*row.values()) for row in rows]


async def alone_sessions(read: Read, keys: Sequence[SessionKey]) -> list[SessionKey]:
    """Select the practice sessions that exist without any relationship."""
    rows = await read(statement("alone_sessions"), {"rows": node_rows(keys)})
    return [SessionKey(*row.values()) for row in rows]


def _learner(
    change: MasteryChange | AbilityChange | AttendanceChange | Unlocked,
) -> LearnerKey:
    return LearnerKey(change.tenant_id, change.student_id)


async def _page(
    read: Read, nodes: str, after: tuple[str, str] | None, limit: int
) -> list[dict[str, Any]]:
    # Two statements instead of one with OR: each reads one range of the index.
    page: list[Row] = []
    if after is not None:
        tenant_id, last = after
        page = await read(
            statement(f"{nodes}_of_tenant"),
            {"tenant_id": tenant_id, "after": last, "limit": limit},
        )
    if len(page) < limit:
        page += await read(
            statement(f"{nodes}_of_later_tenants"),
            {"tenant_id": after[0] if after else "", "limit": limit - len(page)},
        )
    return page
