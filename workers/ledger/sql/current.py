"""Ask for and read the documents of `mastery_current`."""

from collections.abc import Sequence
from typing import Any

from workers.common.times import iso
from workers.estimation.ability import AbilityState
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.person_fit import person_fit
from workers.ledger.current import Current, CurrentAbility, CurrentConcept, CurrentSession
from workers.ledger.exchange import Recorded
from workers.ledger.sql.arrays import texts

Document = dict[str, Any]


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


def _fit(responses: int, surprise: float, variance: float) -> float | None:
    return person_fit(
        AbilityState(responses, surprise=float(surprise), surprise_variance=float(variance))
    )
