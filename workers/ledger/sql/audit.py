"""The JSON documents of `mastery_audit`, `mastery_audit_page`, `mastery_seal` and its pages."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from workers.estimation.learner import LearnerKey, Position
from workers.ledger.corrections import Altered, CorrectionRow, effective_log
from workers.ledger.rows import (
    AbilityRow,
    AuditPage,
    ConceptRow,
    SessionRow,
    SnapshotRow,
    Stored,
)
from workers.ledger.sql.arrays import plain
from workers.ledger.sql.calibrated_columns import Number, concept_state, read_interval
from workers.ledger.sql.documents import (
    Document,
    learner_columns,
    position_request,
    read_response,
)
from workers.ledger.sql.snapshots import read_snapshot

Row = Sequence[Any]
"""A row without its learner's number: its columns, then its checksum, stored and expected."""


def read_audit(document: Document, keys: Sequence[LearnerKey]) -> list[Stored]:
    """Read the answer of `mastery_audit`, for the learners of the request in their order."""
    audited = [Stored(key, 0, None, 1, [], [], [], []) for key in keys]
    for name, read_row in (
        ("learners", _read_learner),
        ("responses", _read_response),
        ("corrections", _read_correction),
        ("concepts", _read_concept),
        ("abilities", _read_ability),
        ("sessions", _read_session),
        ("snapshots", _read_snapshot),
    ):
        for n, *row in document[name]:
            read_row(audited[n - 1], row)
    for n, windows, counts in document["rates"]:
        # If somebody altered one of two columns they may differ in length; their checksum tells.
        audited[n - 1].kept = dict(zip(windows, counts or (), strict=False))
    for n, window, count in document["windows"]:
        audited[n - 1].windows[window] = count
    for n in document["left_out"]:
        audited[n - 1].left_out = True
    for stored in audited:
        stored.log = effective_log(stored.responses, stored.corrections)
    return audited


def _read_learner(stored: Stored, row: Row) -> None:
    version, at, response_id, parameters_version, responses, corrections, checksum, given = row
    stored.version = version
    stored.last = None if at is None else Position(at, response_id)
    stored.parameters_version = parameters_version
    stored.response_count = responses
    stored.correction_count = corrections
    if checksum is not None and responses is None:
        stored.unsealed += 1
    _compare_checksum(stored, "learners", "", checksum, given)


def read_audit_page(document: Document) -> AuditPage:
    """Read the answer of `mastery_audit_page`."""
    last, windows = document["last"], Counter[int]()
    page = AuditPage(last=None if last is None else Position(*last))
    for *row, window in document["responses"]:
        _read_response(page, row)
        if window is not None:
            windows[window] += 1
    page.windows = dict(windows)
    return page


def _read_response(stored: Stored | AuditPage, row: Row) -> None:
    *columns, version, checksum, given = row
    response = read_response(*columns)
    stored.responses.append(response)
    _note_version(stored, version)
    _compare_checksum(stored, "student_responses", response.response_id, checksum, given)


def _read_correction(stored: Stored, row: Row) -> None:
    response_id, kind, score, reason, corrected_at_us, version, checksum, given = row
    stored.corrections.append(
        CorrectionRow(response_id, kind, _number(score), reason, corrected_at_us, version)
    )
    _note_version(stored, version)
    _compare_checksum(stored, "response_corrections", response_id, checksum, given)


def _read_concept(stored: Stored, row: Row) -> None:
    columns, low, high, checksum, given = row
    (
        _n, concept_id, mantissa, exponent, attempts, at,
        mastery, mastered, version, parameters_version, *calibrated,
    ) = columns  # fmt: skip  # in the order of the function
    stored.concepts.append(
        ConceptRow.of(
            concept_id,
            concept_state(mantissa, exponent, attempts, at, *calibrated),
            mastery=float(mastery),
            mastered=mastered,
            interval=read_interval(low, high),
            version=version,
            parameters_version=parameters_version,
        )
    )
    _note_version(stored, version)
    _compare_checksum(stored, "concept_mastery", concept_id, checksum, given)


def _read_ability(stored: Stored, row: Row) -> None:
    columns, checksum, given = row
    (
        _n, scale, responses, score, theta,
        standard_error, version, parameters_version, variance, surprise, surprise_variance,
    ) = columns  # fmt: skip  # in the order of the function
    stored.abilities.append(
        AbilityRow(
            scale=scale,
            theta=float(theta),
            standard_error=float(standard_error),
            responses=responses,
            version=version,
            parameters_version=parameters_version,
            score=float(score),
            variance=float(variance or 0),
            surprise=float(surprise or 0),
            surprise_variance=float(surprise_variance or 0),
        )
    )
    _note_version(stored, version)
    _compare_checksum(stored, "student_ability", scale, checksum, given)


def _read_session(stored: Stored, row: Row) -> None:
    (_n, *columns), checksum, given = row
    session = SessionRow(*columns)
    stored.sessions.append(session)
    _note_version(stored, session.version)
    _compare_checksum(stored, "practice_sessions", session.session_id, checksum, given)


def _read_snapshot(stored: Stored, row: Row) -> None:
    parameters_version, at, response_id, responses, state, checksum, given = row
    snapshot = read_snapshot(at, response_id, responses, state)
    stored.snapshots.append(SnapshotRow(parameters_version, snapshot))
    _compare_checksum(stored, "snapshots", response_id, checksum, given)


def _number(value: Number) -> float | None:
    return None if value is None else float(value)


def _note_version(stored: Stored | AuditPage, version: int) -> None:
    stored.newest_version = max(stored.newest_version, version)


def _compare_checksum(
    stored: Stored | AuditPage, table: str, key: str, checksum: int | None, given: int
) -> None:
    if checksum is None:
        stored.unsealed += 1
    elif checksum != given:
        stored.altered.append(Altered(table, key, checksum, given))


def seal_request(audited: Sequence[Stored], *, accept: bool) -> Document:
    """Write the request of `mastery_seal`."""
    return {
        **learner_columns(stored.key for stored in audited),
        "expected": plain(stored.version for stored in audited),
        "accept": accept,
        "log": False,
    }


def seal_page_request(
    stored: Stored, after: Position | None, limit: int, *, accept: bool
) -> Document:
    """Write the request of `mastery_seal_page`."""
    request = {**position_request(stored.key, after, limit), "expected": stored.version}
    return {**request, "accept": accept}
