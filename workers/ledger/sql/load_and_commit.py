"""The JSON documents of `mastery_load` and `mastery_commit`, written and read.

``supabase/schemas/20_load.sql`` and ``21_commit.sql`` describe the documents.
Numbers that name a learner count from 1.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from workers.estimation.learner import (
    Learner,
    LearnerKey,
    Position,
    Response,
    SessionState,
)
from workers.ledger.exchange import Arrival, Commit, Committed, Erasure, Loaded, Recorded, Touched
from workers.ledger.rows import ability_state
from workers.ledger.sql.arrays import booleans, moments, plain, texts
from workers.ledger.sql.calibrated_columns import (
    CalibratedConcept,
    calibrated_abilities,
    calibrated_concepts,
    concept_state,
    float_or_none,
)

Document = dict[str, Any]


def load_request(touched: Sequence[Touched]) -> Document:
    """The request of `mastery_load` for what a batch touches of its learners."""
    of: list[int] = []
    responses: list[Response] = []
    concepts: list[tuple[int, str]] = []
    scales: list[tuple[int, str]] = []
    sessions: list[tuple[int, str]] = []
    for n, one in enumerate(touched, 1):
        of += [n] * len(one.responses)
        responses += one.responses
        concepts += [(n, c) for c in {c: None for r in one.responses for c in r.concept_ids}]
        scales += [(n, s) for s in {r.scale: None for r in one.responses}]
        sessions += [(n, s) for s in {r.session_id: None for r in one.responses} if s is not None]
    return {
        **_keys(one.key for one in touched),
        "parameters_version": touched[0].parameters_version if touched else 1,
        "active": True,
        "r_of": plain(of),
        "r_id": texts(r.response_id for r in responses),
        "r_at": moments(r.answered_at_us for r in responses),
        **_pairs("c", concepts),
        **_pairs("a", scales),
        **_pairs("s", sessions),
        **_arrivals([arrival for one in touched for arrival in one.arrivals or ()], len(of)),
    }


def _arrivals(arrivals: Sequence[Arrival], responses: int) -> Document:
    """How the responses came; all of them or none say so."""
    if len(arrivals) < responses:
        return {}
    windows = ("NULL" if one.window is None else str(one.window) for one in arrivals)
    return {
        "r_entered": plain(one.entered_ms for one in arrivals),
        "r_window": "{" + ",".join(windows) + "}",
    }


def _keys(keys: Iterable[LearnerKey]) -> Document:
    listed = list(keys)
    return {
        "tenants": texts(key.tenant_id for key in listed),
        "students": texts(key.student_id for key in listed),
    }


def _pairs(name: str, pairs: Sequence[tuple[int, str]]) -> Document:
    return {f"{name}_of": plain(n for n, _ in pairs), f"{name}_id": texts(i for _, i in pairs)}


def commit_request(commits: Sequence[Commit], outcomes: Sequence[bytes]) -> Document:
    """The request of `mastery_commit`.

    Args:
        commits: one for each learner.
        outcomes: of each response of each commit, in order, its outcome as JSON.
    """
    touched = [commit.touched for commit in commits]
    responses = [r for c in commits for r in c.folded.responses]
    last_by, concepts, abilities, sessions = _state_rows(commits)
    newest = [_newest(c.folded.learner) for c in commits]
    return {
        "load": load_request(touched),
        "expected": plain(c.folded.learner.version for c in commits),
        "last_by": plain(last_by),
        "last_at": moments(p.answered_at_us for p in newest),
        "last_id": texts(p.response_id for p in newest),
        "parameters_version": commits[0].folded.learner.parameters_version,
        "p_of": plain(n for n, c in enumerate(commits, 1) if c.folded.under_new_parameters),
        "r_session": texts(r.session_id for r in responses),
        "r_item": texts(r.item_id for r in responses),
        "r_concepts": texts(texts(r.concept_ids) for r in responses),
        "r_scale": texts(r.scale for r in responses),
        "r_score": plain(r.score for r in responses),
        "r_entry": texts(entry for c in commits for entry in c.entries),
        "r_outcome": texts(o.decode() for o in outcomes),
        **rates(commit.kept for commit in commits),
        **concepts,
        **abilities,
        **sessions,
    }


def rates(kept: Iterable[Mapping[int, int] | None]) -> Document:
    """Of each learner the counts to be kept; of one that has None they stay as they are."""
    listed = list(kept)
    if all(one is None for one in listed):
        return {}
    return {
        "w_start": texts(None if one is None else plain(one) for one in listed),
        "w_count": texts(None if one is None else plain(one.values()) for one in listed),
    }


def _newest(learner: Learner) -> Position:
    if learner.last is None:
        raise ValueError("a learner is committed with at least one response")
    return learner.last


def _state_rows(commits: Sequence[Commit]) -> tuple[list[int], Document, Document, Document]:
    concepts: list[tuple[Any, ...]] = []
    abilities: list[tuple[Any, ...]] = []
    sessions: list[tuple[Any, ...]] = []
    calibrated: list[CalibratedConcept] = []
    spreads: list[tuple[float, ...]] = []
    last_by = []
    first = 1
    for n, commit in enumerate(commits, 1):
        folded = commit.folded
        learner = folded.learner
        newest = {
            change.concept_id: change for outcome in folded.outcomes for change in outcome.concepts
        }
        for concept_id, by in folded.concepts.items():
            state, told = learner.concepts[concept_id], newest[concept_id]
            concepts.append((n, concept_id, told.mastery, told.mastered, *state[:4], first + by))
            calibrated.append(CalibratedConcept.of(state, *(told.interval or (None, None))))
        for scale, by in folded.abilities.items():
            ability = learner.abilities[scale]
            abilities.append((n, scale, *folded.estimates[scale], *ability[:2], first + by))
            spreads.append(ability[3:])
        for session_id, by in folded.sessions.items():
            sessions.append((n, session_id, *learner.sessions[session_id], first + by))
        first += len(folded.responses)
        last_by.append(first - 1)
    c, a, s = _columns(concepts, 8), _columns(abilities, 7), _columns(sessions, 7)
    return (
        last_by,
        {
            "c_of": plain(c[0]),
            "c_concept": texts(c[1]),
            "c_mastery": plain(c[2]),
            "c_mastered": booleans(c[3]),
            "c_mantissa": plain(c[4]),
            "c_exponent": plain(c[5]),
            "c_attempts": plain(c[6]),
            "c_at": moments(c[7]),
            "c_by": plain(c[8]),
            **calibrated_concepts(calibrated),
        },
        {
            "a_of": plain(a[0]),
            "a_scale": texts(a[1]),
            "a_theta": plain(a[2]),
            "a_standard_error": plain(a[3]),
            "a_responses": plain(a[4]),
            "a_score": plain(a[5]),
            "a_by": plain(a[6]),
            **calibrated_abilities(spreads),
        },
        {
            "s_of": plain(s[0]),
            "s_session": texts(s[1]),
            "s_responses": plain(s[2]),
            "s_correct": plain(s[3]),
            "s_started": moments(s[4]),
            "s_ended": moments(s[5]),
            "s_by": plain(s[6]),
        },
    )


def _columns(rows: list[tuple[Any, ...]], last: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [() for _ in range(last + 1)]


def read_load(
    document: Document, keys: Sequence[LearnerKey], *, asked: bool = False
) -> list[Loaded]:
    """What `mastery_load` answered, for the same learners in the same order.

    Args:
        document: the answer.
        keys: the learners.
        asked: whether the request said how responses came.
    """
    found = [Loaded(Learner(), active_version=document.get("active")) for _ in keys]
    for n in document["logged"]:
        found[n - 1].log = []
    for n, version, at, response_id, parameters_version in document["learners"]:
        learner = found[n - 1].learner
        learner.version = version
        learner.last = None if at is None else Position(at, response_id)
        learner.parameters_version = parameters_version
    for n, *response, version, entry, outcome in document["known"]:
        recorded = Recorded(_response(response), version, entry, outcome)
        found[n - 1].recorded[recorded.response.response_id] = recorded
    for n, *response in document["log"]:
        log = found[n - 1].log
        if log is not None:
            log.append(_response(response))
    for n, concept_id, mantissa, exponent, attempts, at, *rest in document["concepts"]:
        _mastery, _mastered, _version, _parameters_version, *calibrated = rest
        found[n - 1].learner.concepts[concept_id] = concept_state(
            float(mantissa), exponent, attempts, at, calibrated
        )
    for n, scale, responses, score, theta, _, _, _, *calibrated in document["abilities"]:
        found[n - 1].learner.abilities[scale] = ability_state(
            responses, float(score), float(theta), list(map(float_or_none, calibrated))
        )
    for n, session_id, responses, correct, started, ended, _ in document["sessions"]:
        found[n - 1].learner.sessions[session_id] = SessionState(responses, correct, started, ended)
    if asked:
        _read_counts_and_erasures(document, found)
    return found


def _read_counts_and_erasures(document: Document, found: list[Loaded]) -> None:
    for n, windows, counts in document["rates"]:
        found[n - 1].kept = dict(zip(windows, counts, strict=True))
    for n, window, count in document["older"]:
        found[n - 1].older[window] = count
    for n, until_ms, refuse in document["erased"]:
        found[n - 1].erasure = Erasure(until_ms, refuse)


def _response(columns: Sequence[Any]) -> Response:
    response_id, session_id, item_id, concept_ids, scale, score, at = columns
    return Response(response_id, session_id, item_id, tuple(concept_ids), scale, float(score), at)


def read_commit(document: Document, commits: Sequence[Commit]) -> list[Committed | Loaded]:
    """What `mastery_commit` answered: of each learner its versions, or the state as it is now."""
    conflicts = set(document["conflicts"])
    current: list[Loaded] = []
    if conflicts:
        asked = any(c.arrivals for c in commits)
        current = read_load(document["current"], [c.folded.key for c in commits], asked=asked)
    answers: list[Committed | Loaded] = []
    first = 0
    for n, commit in enumerate(commits, 1):
        end = first + len(commit.folded.responses)
        answers.append(
            current[n - 1] if n in conflicts else Committed(document["versions"][first:end])
        )
        first = end
    return answers


def page_request(after: LearnerKey | None, limit: int) -> Document:
    """The request of `mastery_learners`."""
    if after is None:
        return {"limit": limit}
    return {"limit": limit, "after_tenant": after.tenant_id, "after_student": after.student_id}


def encoded(document: Any) -> bytes:
    """A document as JSON bytes."""
    return orjson.dumps(document)
