"""Paged reads, the same for every graph: what a comparison with the ledger needs."""

from collections.abc import Awaitable, Callable
from typing import Any

from workers.estimation.learner import LearnerKey
from workers.graph.changes import AbilityChange, AttendanceChange, MasteryChange
from workers.graph.protocol import SessionKey, StoredLearner, StoredSession
from workers.graph.statements import Row, statement

Read = Callable[[str, dict[str, Any]], Awaitable[list[Row]]]
"""Runs a statement with parameters and returns its rows; times come as aware UTC."""


async def learners(read: Read, after: LearnerKey | None, limit: int) -> list[StoredLearner]:
    """The next `limit` students after one, with all their relationships."""
    page = await _page(read, "students", after, limit)
    found = {key: StoredLearner(key) for key in (LearnerKey(*row.values()) for row in page)}
    if page:
        rows = {"rows": page}
        for row in await read(statement("mastery_of_students"), rows):
            mastery = MasteryChange(**row)
            found[_learner(mastery)].mastery.append(mastery)
        for row in await read(statement("ability_of_students"), rows):
            ability = AbilityChange(**row)
            found[_learner(ability)].abilities.append(ability)
        for row in await read(statement("attendance_of_students"), rows):
            attendance = AttendanceChange(**row)
            found[_learner(attendance)].attendance.append(attendance)
    return list(found.values())


async def sessions(read: Read, after: SessionKey | None, limit: int) -> list[StoredSession]:
    """The next `limit` practice sessions after one, with the concepts practised in them."""
    page = await _page(read, "sessions", after, limit)
    found = {key: StoredSession(key) for key in (SessionKey(*row.values()) for row in page)}
    if page:
        for row in await read(statement("practised_in_sessions"), {"rows": page}):
            key = SessionKey(row["tenant_id"], row["session_id"])
            found[key].concept_ids.append(row["concept_id"])
    return list(found.values())


def _learner(change: MasteryChange | AbilityChange | AttendanceChange) -> LearnerKey:
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
