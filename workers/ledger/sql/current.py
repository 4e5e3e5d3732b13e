"""Current values over `mastery_current`."""

from collections.abc import Sequence

from typing_extensions import override

from workers.common.times import iso
from workers.estimation.ability import AbilityState
from workers.estimation.learner import LearnerKey
from workers.estimation.person_fit import person_fit
from workers.ledger.current import (
    BEGINNING,
    Current,
    CurrentAbility,
    CurrentConcept,
    CurrentLedger,
    CurrentSession,
    ValuesPage,
    ValuesPlace,
)
from workers.ledger.exchange import Recorded
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.documents import (
    Document,
    learner_columns,
    read_response,
)
from workers.ledger.sql.functions import SqlFunctions


class SqlCurrent(SqlFunctions, CurrentLedger):
    """Calls `mastery_current` and `mastery_values`."""

    @override
    async def values(
        self, key: LearnerKey, limit: int, after: ValuesPlace = BEGINNING
    ) -> ValuesPage:
        request = {
            "tenant": key.tenant_id,
            "student": key.student_id,
            "limit": limit + 1,
            "concept": after.concept_id,
            "scale": after.scale,
        }
        answer = await self._call("mastery_values", request)
        with as_promised("mastery_values"):
            return ValuesPage.of(
                [_value(*columns) for columns in answer["concepts"]],
                [_ability(*columns) for columns in answer["abilities"]],
                after,
                limit,
            )

    @override
    async def current(
        self, keys: Sequence[LearnerKey], since_us: int | None = None
    ) -> list[Current]:
        request = learner_columns(keys)
        if since_us is not None:
            request["since"] = iso(since_us)
        answer = await self._call("mastery_current", request)
        with as_promised("mastery_current"):
            return read_current(answer, keys)

    @override
    async def clock_us(self) -> int:
        answer = await self._call("mastery_current", learner_columns([]))
        with as_promised("mastery_current"):
            return int(answer["now"])


def read_current(document: Document, keys: Sequence[LearnerKey]) -> list[Current]:
    """Read the answer of `mastery_current`, for the learners that it names as active."""
    learners = {n: Current(keys[n - 1]) for n in document["active"]}
    intervals = {
        (n, concept_id): (float(low), float(high))
        for n, concept_id, low, high in document["intervals"]
    }
    for n, concept_id, mastery, *columns in document["concepts"]:
        attempts, mastered, answered_at_us, version, parameters_version = columns
        learners[n].concepts.append(
            CurrentConcept(
                concept_id=concept_id,
                mastery=float(mastery),
                attempts=attempts,
                mastered=mastered,
                answered_at_us=answered_at_us,
                version=version,
                parameters_version=parameters_version,
                interval=intervals.get((n, concept_id)),
            )
        )
    fits = {
        (n, scale): person_fit(
            AbilityState(responses, surprise=float(surprise), surprise_variance=float(variance))
        )
        for n, scale, responses, surprise, variance in document["surprises"]
    }
    for n, scale, theta, standard_error, version in document["abilities"]:
        fit = fits.get((n, scale))
        ability = CurrentAbility(scale, float(theta), float(standard_error), version, fit)
        learners[n].abilities.append(ability)
    for n, session_id, responses, correct, version in document["sessions"]:
        learners[n].sessions.append(CurrentSession(session_id, responses, correct, version))
    for n, *columns, version, entry, outcome in document["responses"]:
        recorded = Recorded(read_response(*columns), version, entry, outcome)
        learners[n].responses.append(recorded)
    return list(learners.values())


def _value(  # noqa: PLR0917  # the columns of a row, in the order of the function
    concept_id: str,
    mastery: float,
    attempts: int,
    mastered: bool,
    answered_at_us: int,
    version: int,
    parameters_version: int,
    low: float | None,
    high: float | None,
) -> CurrentConcept:
    return CurrentConcept(
        concept_id,
        float(mastery),
        attempts,
        mastered,
        answered_at_us,
        version,
        parameters_version,
        None if low is None or high is None else (float(low), float(high)),
    )


def _ability(  # noqa: PLR0917  # as above
    scale: str,
    theta: float,
    standard_error: float,
    version: int,
    responses: int,
    variance: float | None,
    surprise: float | None,
    surprise_variance: float | None,
) -> CurrentAbility:
    fit = None
    if variance is not None:
        state = AbilityState(
            responses,
            surprise=float(surprise or 0.0),
            surprise_variance=float(surprise_variance or 0.0),
        )
        fit = person_fit(state)
    return CurrentAbility(scale, float(theta), float(standard_error), version, fit)
