"""Paged reads, the same for every graph: what a comparison with the ledger needs."""

from collections.abc import Sequence
from typing import Any

from workers.estimation.learner import LearnerKey
from workers.graph.changes import AbilityChange, AttendanceChange, MasteryChange
from workers.graph.protocol import SessionKey, StoredLearner, StoredSession
from workers.graph.repairs import node_rows
from workers.graph.statements import Read, Row, statement
from workers.graph.unlocking import Unlocked, unlocked_of


async def students(read: Read, after: LearnerKey | None, limit: int) -> list[LearnerKey]:
    """The next `limit` students after one."""
    return [LearnerKey(*row.values()) for row in await _page(read, "students", after, limit)]


async def learners(read: Read, keys: Sequence[LearnerKey]) -> list[StoredLearner]:
    """Students with all their relationships, in the order of the keys."""
    found = {key: StoredLearner(key) for key in keys}
    if found:
        rows = {"rows": node_rows(found)}
        for row in await read(statement("mastery_of_students"), rows):
            mastery = MasteryChange(**row)
            found[_learner(mastery)].mastery.append(mastery)
        for row in await read(statement("ability_of_students"), rows):
            ability = AbilityChange(**row)
            found[_learner(ability)].abilities.append(ability)
        for row in await read(statement("attendance_of_students"), rows):
            attendance = AttendanceChange(**row)
            found[_learner(attendance)].attendance.append(attendance)
        for row in await read(statement("unlocked_of_students"), rows):
            unlocked = unlocked_of(row)
            found[_learner(unlocked)].unlocked.append(unlocked)
    return list(found.values())


async def session_keys(read: Read, after: SessionKey | None, limit: int) -> list[SessionKey]:
    """The next `limit` practice sessions after one."""
    return [SessionKey(*row.values()) for row in await _page(read, "sessions", after, limit)]


async def practised(read: Read, keys: Sequence[SessionKey]) -> list[StoredSession]:
    """Practice sessions with the concepts practised in them, in the order of the keys."""
    found = {key: StoredSession(key) for key in keys}
    if found:
        for row in await read(statement("practised_in_sessions"), {"rows": node_rows(found)}):
            key = SessionKey(row["tenant_id"], row["session_id"])
            found[key].concept_ids.append(row["concept_id"])
    return list(found.values())


async def attendees(read: Read, keys: Sequence[SessionKey]) -> dict[SessionKey, list[LearnerKey]]:
    """Who attended practice sessions; each key has its entry."""
    found: dict[SessionKey, list[LearnerKey]] = {key: [] for key in keys}
    if found:
        for row in await read(statement("attendees_of_sessions"), {"rows": node_rows(found)}):
            key = SessionKey(row["tenant_id"], row["session_id"])
            found[key].append(LearnerKey(row["student_tenant_id"], row["student_id"]))
    return found


async def alone_students(read: Read, keys: Sequence[LearnerKey]) -> list[LearnerKey]:
    """Those of the students that are nodes without any relationship."""
    rows = await read(statement("alone_students"), {"rows": node_rows(keys)})
    return [LearnerKey(*row.values()) for row in rows]


async def alone_sessions(read: Read, keys: Sequence[SessionKey]) -> list[SessionKey]:
    """Those of the practice sessions that are nodes without any relationship."""
    rows = await read(statement("alone_sessions"), {"rows": node_rows(keys)})
    return [SessionKey(*row.values()) for row in rows]


def _learner(
    change: MasteryChange | AbilityChange | AttendanceChange | Unlocked,
) -> LearnerKey:
    return LearnerKey(change.tenant_id, change.student_id)


async def _page(
    read: Read, nodes: str, after: tuple[str, str] | None, limit: int
) -> list[dict[str, Any]]:
    # Two statements rather than one with OR: each of them is one range of the index.
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
