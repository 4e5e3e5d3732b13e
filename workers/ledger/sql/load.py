"""The JSON documents of `mastery_load`."""

from collections.abc import Sequence

from workers.estimation.learner import Learner, LearnerKey, Position, Response, SessionState
from workers.ledger.exchange import (
    FEW_STATES,
    MOST_ANSWERS,
    MOST_REPLAYED,
    Arrival,
    Erasure,
    Loaded,
    LogPage,
    Recorded,
    StoredLog,
    Touched,
)
from workers.ledger.sql.arrays import moments, plain, texts
from workers.ledger.sql.documents import Document, learner_columns, read_response
from workers.ledger.sql.snapshots import read_ability, read_concept, read_snapshot


def load_request(touched: Sequence[Touched], most_answers: int = MOST_ANSWERS) -> Document:
    """Write the request of `mastery_load`."""
    of: list[int] = []
    responses: list[Response] = []
    concepts: list[tuple[int, str]] = []
    scales: list[tuple[int, str]] = []
    sessions: list[tuple[int, str]] = []
    for n, learner in enumerate(touched, 1):
        new = learner.responses
        of += [n] * len(new)
        responses += new
        concepts += [(n, c) for c in {c: None for r in new for c in r.concept_ids}]
        scales += [(n, s) for s in {r.scale: None for r in new}]
        sessions += [(n, s) for s in {r.session_id: None for r in new} if s is not None]
    arrivals = [arrival for learner in touched for arrival in learner.arrivals or ()]
    return {
        **learner_columns(learner.key for learner in touched),
        "parameters_version": touched[0].parameters_version if touched else 1,
        "active": True,
        "few": FEW_STATES,
        "most_answers": most_answers,
        "most_replayed": MOST_REPLAYED,
        "r_of": plain(of),
        "r_id": texts(r.response_id for r in responses),
        "r_at": moments(r.answered_at_us for r in responses),
        **_pairs("c", concepts),
        **_pairs("a", scales),
        **_pairs("s", sessions),
        **(_arrival_columns(arrivals) if len(arrivals) == len(responses) else {}),
    }


def _arrival_columns(arrivals: Sequence[Arrival]) -> Document:
    windows = ("NULL" if arrival.window is None else str(arrival.window) for arrival in arrivals)
    return {
        "r_entered": plain(arrival.entered_ms for arrival in arrivals),
        "r_window": "{" + ",".join(windows) + "}",
    }


def _pairs(name: str, pairs: Sequence[tuple[int, str]]) -> Document:
    return {f"{name}_of": plain(n for n, _ in pairs), f"{name}_id": texts(i for _, i in pairs)}


def read_load(
    document: Document, keys: Sequence[LearnerKey], *, asked: bool = False
) -> list[Loaded]:
    """Read the answer of `mastery_load`.

    Args:
        document: the answer.
        keys: the learners of the request; the result has their order.
        asked: True if the request had arrivals, so that the answer has counts and erasures.
    """
    active_version = document["active"]
    whole = set(document["whole"])
    loaded = [
        Loaded(Learner(), active_version=active_version, whole=n in whole)
        for n in range(1, len(keys) + 1)
    ]
    for n in document["late"]:
        loaded[n - 1].replay = StoredLog()
    for n in document["logged"]:
        loaded[n - 1].replay = StoredLog(answers=[])
    for n, version, at, response_id, parameters_version, responses in document["learners"]:
        loaded[n - 1].responses = responses
        learner = loaded[n - 1].learner
        learner.version = version
        learner.last = None if at is None else Position(at, response_id)
        learner.parameters_version = parameters_version
    for n, *columns, version, entry, outcome in document["known"]:
        recorded = Recorded(read_response(*columns), version, entry, outcome)
        loaded[n - 1].recorded[recorded.response.response_id] = recorded
    for n, *columns in document["log"]:
        replay = loaded[n - 1].replay
        if replay is not None and replay.answers is not None:
            replay.answers.append(read_response(*columns))
    for n, *columns in document["bases"]:
        replay = loaded[n - 1].replay
        if replay is not None:
            replay.base = read_snapshot(*columns)
    _read_states(document, loaded)
    if asked:
        _read_counts_and_erasures(document, loaded)
    return loaded


def read_page(document: Document) -> LogPage:
    """Read the answer of `mastery_log_page`."""
    last = document["last"]
    return LogPage(
        document["version"],
        [read_response(*columns) for columns in document["log"]],
        None if last is None else Position(*last),
    )


def _read_states(document: Document, loaded: list[Loaded]) -> None:
    for row in document["concepts"]:
        concept_id, concept = read_concept(row)
        loaded[row[0] - 1].learner.concepts[concept_id] = concept
    for row in document["abilities"]:
        scale, ability = read_ability(row)
        loaded[row[0] - 1].learner.abilities[scale] = ability
    for n, session_id, responses, correct, started, ended, _version in document["sessions"]:
        state = SessionState(responses, correct, started, ended)
        loaded[n - 1].learner.sessions[session_id] = state


def _read_counts_and_erasures(document: Document, loaded: list[Loaded]) -> None:
    for n, windows, counts in document["rates"]:
        loaded[n - 1].kept = dict(zip(windows, counts, strict=True))
    for n, window, count in document["older"]:
        loaded[n - 1].older[window] = count
    for n, until_ms, refuse in document["erased"]:
        loaded[n - 1].erasure = Erasure(until_ms, refuse, n in document["erasing"])
