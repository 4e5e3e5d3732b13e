"""What is current of a learner and the responses it is due to: `mastery_current`, asked and read.

``supabase/schemas/23_current.sql`` describes the documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workers.estimation.ability import AbilityState
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.person_fit import person_fit
from workers.ledger.arrays import texts
from workers.ledger.protocol import Recorded
from workers.moments import iso

Document = dict[str, Any]


class CurrentConcept(NamedTuple):
    """What the ledger says of a learner's mastery of a concept."""

    concept_id: str
    mastery: float
    attempts: int
    mastered: bool
    answered_at_us: int
    version: int
    parameters_version: int
    interval: tuple[float, float] | None = None
    """95 % credible interval of the mastery; None where it is not known."""


class CurrentAbility(NamedTuple):
    """What the ledger says of a learner's ability on a scale."""

    scale: str
    theta: float
    standard_error: float
    version: int
    person_fit: float | None = None


class CurrentSession(NamedTuple):
    """What the ledger says of a learner's answers in a session."""

    session_id: str
    responses: int
    correct: int
    version: int


@dataclass(slots=True)
class Current:
    """The current values of a learner, in one snapshot.

    Args:
        key: who.
        concepts, abilities, sessions: all of them.
        responses: those whose version a row has; for a concept whose version no response has, one
            on it that was answered when the concept was last.
    """

    key: LearnerKey
    concepts: list[CurrentConcept] = field(default_factory=list)
    abilities: list[CurrentAbility] = field(default_factory=list)
    sessions: list[CurrentSession] = field(default_factory=list)
    responses: list[Recorded] = field(default_factory=list)


def current_request(keys: Sequence[LearnerKey], since_us: int | None) -> Document:
    """The request of `mastery_current`.

    Args:
        keys: the learners.
        since_us: only those with a response recorded at or after it; microseconds since 1970.
    """
    request = {
        "tenants": texts(key.tenant_id for key in keys),
        "students": texts(key.student_id for key in keys),
    }
    return request if since_us is None else {**request, "since": iso(since_us)}


def read_current(document: Document, keys: Sequence[LearnerKey]) -> list[Current]:
    """What `mastery_current` answered, of those learners that it answered for."""
    found = {n: Current(keys[n - 1]) for n in document["active"]}
    intervals = {
        (n, concept_id): (float(low), float(high))
        for n, concept_id, low, high in document["intervals"]
    }
    for n, concept_id, mastery, *rest in document["concepts"]:
        row = CurrentConcept(concept_id, float(mastery), *rest)
        found[n].concepts.append(row._replace(interval=intervals.get((n, concept_id))))
    fits = {(n, scale): _fit(*of_scale) for n, scale, *of_scale in document["surprises"]}
    for n, scale, theta, standard_error, version in document["abilities"]:
        ability = CurrentAbility(
            scale, float(theta), float(standard_error), version, fits.get((n, scale))
        )
        found[n].abilities.append(ability)
    for n, *session in document["sessions"]:
        found[n].sessions.append(CurrentSession(*session))
    for n, response_id, session_id, item_id, concept_ids, scale, score, at, *rest in document[
        "responses"
    ]:
        response = Response(
            response_id, session_id, item_id, tuple(concept_ids), scale, float(score), at
        )
        found[n].responses.append(Recorded(response, *rest))
    return list(found.values())


def interval_of(low: float | None, high: float | None) -> tuple[float, float] | None:
    """Both ends of an interval; None where it is not known."""
    return None if low is None or high is None else (low, high)


def _fit(responses: int, surprise: float, variance: float) -> float | None:
    return person_fit(
        AbilityState(responses, surprise=float(surprise), surprise_variance=float(variance))
    )
