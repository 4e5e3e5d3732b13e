"""The JSON document of `mastery_rewrite`."""

from collections.abc import Sequence

from workers.common.times import iso
from workers.estimation.ability import AbilityEstimate
from workers.ledger.repair import Rewrite
from workers.ledger.rows import AbilityRow, ConceptRow, SessionRow
from workers.ledger.sql.arrays import booleans, plain, texts
from workers.ledger.sql.documents import Document, encoded, learner_columns
from workers.ledger.sql.snapshots import change_columns
from workers.ledger.sql.state_columns import (
    ability_columns,
    concept_columns,
    rate_columns,
    session_columns,
)


def rewrite_request(rewrites: Sequence[Rewrite]) -> Document:
    """Write the request of `mastery_rewrite`."""
    numbered = list(enumerate(rewrites, 1))
    corrections = [(n, correction) for n, r in numbered for correction in r.corrections]
    changes = [(n, change) for n, r in numbered for change in r.changes]
    lasts = [r.last for r in rewrites]
    return {
        **learner_columns(r.key for r in rewrites),
        "active": True,
        "expected": plain(r.version for r in rewrites),
        "last_at": texts(None if p is None else iso(p.answered_at_us) for p in lasts),
        "last_id": texts(None if p is None else p.response_id for p in lasts),
        "parameters_version": plain(r.parameters_version for r in rewrites),
        "corrections": plain(r.correction_count for r in rewrites),
        "recount": booleans(r.recount for r in rewrites),
        "x_of": plain(n for n, _ in corrections),
        "x_id": texts(correction.response_id for _, correction in corrections),
        "x_kind": texts(correction.kind for _, correction in corrections),
        "x_score": texts(None if c.score is None else repr(c.score) for _, c in corrections),
        "x_reason": texts(correction.reason for _, correction in corrections),
        **_concepts([(n, row) for n, r in numbered for row in r.concepts]),
        **_abilities([(n, row) for n, r in numbered for row in r.abilities]),
        **_sessions([(n, row) for n, r in numbered for row in r.sessions]),
        **_gone("c", [(n, concept_id) for n, r in numbered for concept_id in r.gone_concepts]),
        **_gone("a", [(n, scale) for n, r in numbered for scale in r.gone_scales]),
        **_gone("s", [(n, session_id) for n, r in numbered for session_id in r.gone_sessions]),
        "u_of": plain(n for n, _ in changes),
        "u_concept": texts(change.concept_id for _, change in changes),
        "u_data": texts(encoded(change.data).decode() for _, change in changes),
        **rate_columns(r.kept for r in rewrites),
        **change_columns(
            changed=[(n, r.changed_from) for n, r in numbered],
            snapshots=[(n, snapshot) for n, r in numbered for snapshot in r.snapshots],
            taken=[],
        ),
    }


def _concepts(rows: Sequence[tuple[int, ConceptRow]]) -> Document:
    return concept_columns(
        learners=[n for n, _ in rows],
        concept_ids=[row.concept_id for _, row in rows],
        masteries=[row.mastery for _, row in rows],
        mastered=[row.mastered for _, row in rows],
        states=[row.state for _, row in rows],
        intervals=[row.interval for _, row in rows],
    )


def _abilities(rows: Sequence[tuple[int, AbilityRow]]) -> Document:
    return ability_columns(
        learners=[n for n, _ in rows],
        scales=[row.scale for _, row in rows],
        estimates=[AbilityEstimate(row.theta, row.standard_error) for _, row in rows],
        states=[row.state for _, row in rows],
    )


def _sessions(rows: Sequence[tuple[int, SessionRow]]) -> Document:
    return session_columns(
        learners=[n for n, _ in rows],
        session_ids=[row.session_id for _, row in rows],
        states=[row.state for _, row in rows],
    )


def _gone(name: str, rows: Sequence[tuple[int, str]]) -> Document:
    return {
        f"{name}_gone_of": plain(n for n, _ in rows),
        f"{name}_gone": texts(key for _, key in rows),
    }
