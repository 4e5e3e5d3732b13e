"""What was predicted of each response, as it is stored: `mastery_predictions`, asked and read.

``supabase/schemas/32_predictions.sql`` describes the documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from workers.common.times import iso
from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Recorded

Document = dict[str, Any]


class Place(NamedTuple):
    """A response's place in the order of keys."""

    tenant_id: str
    student_id: str
    response_id: str


class Told(NamedTuple):
    """What was predicted of a response, and what then happened."""

    learner: LearnerKey
    concept_ids: tuple[str, ...]
    masteries: tuple[float, ...]
    """Of each of these concepts after it, in [0, 1]; for a late response after the replay."""
    attempts: int
    """Of the learner on the concept named first, as known at its commit; this one included."""
    score: float
    """As it counts now, in [0, 1]."""
    probability: float
    """Expected score before it was seen, in [0, 1]."""
    version: int
    """Of the learner: rises in the order in which responses were recorded."""
    parameters_version: int
    """Of the parameters under which it was predicted."""
    recorded_at_us: int
    """Microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose predictions are asked for.

    Args:
        tenant_id: only those of its learners; None: all.
        since_us: only those of responses recorded at or after it, by the ledger's clock;
            microseconds since 1970.
    """

    tenant_id: str | None = None
    since_us: int | None = None


@dataclass(slots=True)
class PredictionPage:
    """A page of predictions.

    Args:
        told: those asked for; a response that a correction voids is none.
        last: where the page ends; None: there are no more.
    """

    told: list[Told] = field(default_factory=list)
    last: Place | None = None


class PredictionsLedger(Protocol):
    """The system of record for those who watch predictions."""

    async def predictions(
        self, selection: Selection, after: Place | None = None, limit: int = 5_000
    ) -> PredictionPage:
        """A page of the predictions of responses, in the order of their keys.

        Args:
            selection: whose.
            after: where the page before ended.
            limit: responses looked at, those that are left out included.
        """
        ...


def probability_of(recorded: Recorded) -> float:
    """What was expected of a stored response before it was seen, in [0, 1].

    Outcomes from before it was stored have those of its concepts, whose mean it was.
    """
    outcome = recorded.outcome
    told = outcome.get("probability_correct")
    if told is not None:
        return float(told)
    own = outcome["concepts"][: len(recorded.response.concept_ids)]
    return float(sum(one["probability_correct"] for one in own) / len(own))


def predictions_request(selection: Selection, after: Place | None, limit: int) -> Document:
    """The request of `mastery_predictions`."""
    request: Document = {"limit": limit}
    if selection.tenant_id is not None:
        request["tenant"] = selection.tenant_id
    if selection.since_us is not None:
        request["since"] = iso(selection.since_us)
    if after is not None:
        request |= {
            "after_tenant": after.tenant_id,
            "after_student": after.student_id,
            "after_response": after.response_id,
        }
    return request


def read_predictions(document: Document) -> PredictionPage:
    """What `mastery_predictions` answered."""
    columns: Sequence[Sequence[Any]] = [
        document[name]
        for name in (
            "learners",
            "concepts",
            "masteries",
            "attempts",
            "scores",
            "probabilities",
            "versions",
            "parameters",
            "recorded",
        )
    ]
    last = document["last"]
    return PredictionPage(
        [
            Told(
                LearnerKey(*learner),
                tuple(concepts),
                tuple(map(float, masteries)),
                attempts,
                float(score),
                float(probability),
                *rest,
            )
            for learner, concepts, masteries, attempts, score, probability, *rest in zip(
                *columns, strict=True
            )
        ],
        None if last is None else Place(*last),
    )
