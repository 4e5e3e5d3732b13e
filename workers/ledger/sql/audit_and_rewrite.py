"""The JSON documents of audit and repair, written and read.

``supabase/schemas/24_audit.sql``, ``25_rewrite.sql`` and ``26_seal.sql`` describe the documents.
Numbers that name a learner count from 1.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from workers.common.times import iso
from workers.estimation.learner import LearnerKey, Position, Response
from workers.ledger.corrections import Altered, CorrectionRow, effective_log
from workers.ledger.repair import Answers, Change, ItemSpan, Rewrite, Untold
from workers.ledger.rows import AbilityRow, ConceptRow, SessionRow, Stored
from workers.ledger.sql.arrays import booleans, moments, plain, texts
from workers.ledger.sql.calibrated_columns import (
    CalibratedConcept,
    calibrated_abilities,
    calibrated_concepts,
    concept_state,
    float_or_none,
)
from workers.ledger.sql.load_and_commit import Document, encoded, rates

_TABLES: Final = {
    "learners": "learners",
    "responses": "student_responses",
    "corrections": "response_corrections",
    "concepts": "concept_mastery",
    "abilities": "student_ability",
    "sessions": "practice_sessions",
}


def audit_request(keys: Iterable[LearnerKey]) -> Document:
    """The request of `mastery_audit`."""
    listed = list(keys)
    return {
        "tenants": texts(key.tenant_id for key in listed),
        "students": texts(key.student_id for key in listed),
    }


def read_audit(document: Document, keys: Sequence[LearnerKey]) -> list[Stored]:
    """What `mastery_audit` answered, for the same learners in the same order."""
    found = [Stored(key, 0, None, 1, [], [], [], []) for key in keys]
    for n, *row in document["learners"]:
        _read_learner(found[n - 1], row)
    for n, *row in document["responses"]:
        response_id, session_id, item_id, concept_ids, scale, score, at, version, *_ = row
        found[n - 1].responses.append(
            Response(response_id, session_id, item_id, tuple(concept_ids), scale, float(score), at)
        )
        _newer(found[n - 1], version)
    for n, response_id, kind, score, *rest in document["corrections"]:
        correction = CorrectionRow(
            response_id, kind, None if score is None else float(score), *rest[:3]
        )
        found[n - 1].corrections.append(correction)
        _newer(found[n - 1], correction.version)
    for n, concept_id, mastery, attempts, mastered, at, *rest in document["concepts"]:
        # Fewer columns raise: of an older schema half of a state would be read and written back.
        version, parameters_version, mantissa, exponent, *calibrated, low, high, _, _ = rest
        state = concept_state(float(mantissa), exponent, attempts, at, calibrated)
        found[n - 1].concepts.append(
            ConceptRow(
                concept_id,
                float(mastery),
                attempts,
                mastered,
                at,
                version,
                parameters_version,
                state.mantissa,
                state.exponent,
                state.concept_offset,
                state.offset_variance,
                state.gradient,
                state.recent,
                state.lasting,
                float_or_none(low),
                float_or_none(high),
            )
        )
        _newer(found[n - 1], version)
    for n, scale, theta, error, responses, version, parameters_version, score, *rest in document[
        "abilities"
    ]:
        state_of = (responses, version, parameters_version, float(score))
        variance, surprise, surprise_variance = rest[:-2]
        spread = (float(one or 0) for one in (variance, surprise, surprise_variance))
        ability = AbilityRow(scale, float(theta), float(error), *state_of, *spread)
        found[n - 1].abilities.append(ability)
        _newer(found[n - 1], version)
    for n, *row in document["sessions"]:
        session = SessionRow(*row[:6])
        found[n - 1].sessions.append(session)
        _newer(found[n - 1], session.version)
    _read_counts(document, found)
    for name, table in _TABLES.items():
        for row in document[name]:
            _compare_checksum(found[row[0] - 1], table, row)
    for stored in found:
        stored.log = effective_log(stored.responses, stored.corrections)
    return found


def _read_counts(document: Document, found: Sequence[Stored]) -> None:
    for n, windows, counts in document["rates"]:
        # Two columns that somebody has altered may differ in length; their checksum tells.
        found[n - 1].kept = dict(zip(windows, counts or (), strict=False))
    for n, window, count in document["windows"]:
        found[n - 1].windows[window] = count


def _read_learner(stored: Stored, row: Sequence[Any]) -> None:
    stored.version, at, response_id, stored.parameters_version = row[:4]
    stored.last = None if at is None else Position(at, response_id)
    stored.response_count, stored.correction_count, checksum, _ = row[4:]
    if checksum is not None and stored.response_count is None:
        stored.unsealed += 1


def _newer(stored: Stored, version: int) -> None:
    stored.newest_version = max(stored.newest_version, version)


def _compare_checksum(stored: Stored, table: str, row: Sequence[Any]) -> None:
    checksum, given = row[-2:]
    if checksum is None:
        stored.unsealed += 1
    elif checksum != given:
        of = "" if table == "learners" else str(row[1])
        stored.altered.append(Altered(table, of, checksum, given))


def rewrite_request(rewrites: Sequence[Rewrite]) -> Document:
    """The request of `mastery_rewrite`."""
    numbered = list(enumerate(rewrites, 1))
    corrections = [(n, one) for n, r in numbered for one in r.corrections]
    changes = [(n, one) for n, r in numbered for one in r.changes]
    lasts = [r.last for r in rewrites]
    return {
        **audit_request(r.key for r in rewrites),
        "active": True,
        "expected": plain(r.version for r in rewrites),
        "last_at": texts(None if p is None else iso(p.answered_at_us) for p in lasts),
        "last_id": texts(None if p is None else p.response_id for p in lasts),
        "parameters_version": plain(r.parameters_version for r in rewrites),
        "corrections": plain(r.correction_count for r in rewrites),
        "recount": booleans(r.recount for r in rewrites),
        "x_of": plain(n for n, _ in corrections),
        "x_id": texts(one.response_id for _, one in corrections),
        "x_kind": texts(one.kind for _, one in corrections),
        "x_score": texts(None if one.score is None else repr(one.score) for _, one in corrections),
        "x_reason": texts(one.reason for _, one in corrections),
        **_concepts([(n, row) for n, r in numbered for row in r.concepts]),
        **_abilities([(n, row) for n, r in numbered for row in r.abilities]),
        **_sessions([(n, row) for n, r in numbered for row in r.sessions]),
        **_gone("c", [(n, one) for n, r in numbered for one in r.gone_concepts]),
        **_gone("a", [(n, one) for n, r in numbered for one in r.gone_scales]),
        **_gone("s", [(n, one) for n, r in numbered for one in r.gone_sessions]),
        "u_of": plain(n for n, _ in changes),
        "u_concept": texts(one.concept_id for _, one in changes),
        "u_data": texts(encoded(one.data).decode() for _, one in changes),
        **rates(r.kept for r in rewrites),
    }


def _concepts(rows: Sequence[tuple[int, ConceptRow]]) -> Document:
    return {
        "c_of": plain(n for n, _ in rows),
        "c_concept": texts(row.concept_id for _, row in rows),
        "c_mastery": plain(row.mastery for _, row in rows),
        "c_attempts": plain(row.attempts for _, row in rows),
        "c_mastered": booleans(row.mastered for _, row in rows),
        "c_at": moments(row.answered_at_us for _, row in rows),
        "c_mantissa": plain(row.odds_mantissa for _, row in rows),
        "c_exponent": plain(row.odds_exponent for _, row in rows),
        **calibrated_concepts(
            [CalibratedConcept.of(row.state, row.mastery_low, row.mastery_high) for _, row in rows]
        ),
    }


def _abilities(rows: Sequence[tuple[int, AbilityRow]]) -> Document:
    return {
        "a_of": plain(n for n, _ in rows),
        "a_scale": texts(row.scale for _, row in rows),
        "a_theta": plain(row.theta for _, row in rows),
        "a_standard_error": plain(row.standard_error for _, row in rows),
        "a_responses": plain(row.responses for _, row in rows),
        "a_score": plain(row.score for _, row in rows),
        **calibrated_abilities([row[7:] for _, row in rows]),
    }


def _sessions(rows: Sequence[tuple[int, SessionRow]]) -> Document:
    return {
        "s_of": plain(n for n, _ in rows),
        "s_session": texts(row.session_id for _, row in rows),
        "s_responses": plain(row.responses for _, row in rows),
        "s_correct": plain(row.correct for _, row in rows),
        "s_started": moments(row.started_at_us for _, row in rows),
        "s_ended": moments(row.ended_at_us for _, row in rows),
    }


def _gone(name: str, rows: Sequence[tuple[int, str]]) -> Document:
    return {
        f"{name}_gone_of": plain(n for n, _ in rows),
        f"{name}_gone": texts(one for _, one in rows),
    }


def seal_request(audited: Sequence[Stored], *, accept: bool) -> Document:
    """The request of `mastery_seal`."""
    return {
        **audit_request(stored.key for stored in audited),
        "expected": plain(stored.version for stored in audited),
        "accept": accept,
    }


def answers_request(span: ItemSpan, after: LearnerKey | None, limit: int) -> Document:
    """The request of `mastery_answers`."""
    request: Document = {"tenant": span.tenant_id, "item": span.item_id, "limit": limit}
    if span.since_us is not None:
        request["since"] = iso(span.since_us)
    if span.until_us is not None:
        request["until"] = iso(span.until_us)
    if after is not None:
        request["after_student"] = after.student_id
    return request


def read_answers(document: Document, tenant_id: str) -> Answers:
    """What `mastery_answers` answered."""
    last = document["last"]
    return Answers(
        [(LearnerKey(tenant_id, student), response) for student, response in document["found"]],
        None if last is None else LearnerKey(tenant_id, last),
    )


def read_untold(rows: Sequence[Sequence[Any]]) -> list[Untold]:
    """What `mastery_untold` answered."""
    return [
        Untold(number, LearnerKey(tenant, student), version, at, Change(concept_id, data))
        for number, tenant, student, concept_id, version, at, data in rows
    ]
