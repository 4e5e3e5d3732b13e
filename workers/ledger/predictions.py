"""Stored predictions: what was expected of each response, and what happened."""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Recorded


class Place(NamedTuple):
    """A response's place in the order of keys."""

    tenant_id: str
    student_id: str
    response_id: str


class StoredPrediction(NamedTuple):
    """The prediction of a response, with the score that came and the mastery after it."""

    learner: LearnerKey
    concept_ids: tuple[str, ...]
    masteries: tuple[float, ...]
    """Mastery of each concept after the response, in [0, 1]; if it was late, after the replay."""
    attempts: int
    """Attempts on the first concept up to and including this one, as known at its commit."""
    score: float
    """The score that counts, in [0, 1]."""
    probability: float
    """Score expected before the response was seen, in [0, 1]."""
    version: int
    """The learner's version; rises in the order of recording."""
    parameters_version: int
    """Version of the parameters of the prediction."""
    recorded_at_us: int
    """Microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The predictions to read.

    Args:
        tenant_id: the tenant; None for all tenants.
        since_us: the earliest time of recording by the ledger's clock, microseconds since 1970;
            None for no bound.
    """

    tenant_id: str | None = None
    since_us: int | None = None


@dataclass(slots=True)
class PredictionPage:
    """A page of predictions.

    Args:
        predictions: the predictions; voided responses have none.
        last: the end of the page; None if there are no more.
    """

    predictions: list[StoredPrediction] = field(default_factory=list)
    last: Place | None = None


class PredictionsLedger(Protocol):
    """Reads stored predictions."""

    async def predictions(
        self, selection: Selection, after: Place | None = None, limit: int = 5_000
    ) -> PredictionPage:
        """Read a page of the predictions of responses, in the order of their keys.

        Args:
            selection: the predictions to read.
            after: the end of the page before.
            limit: the most responses to look at, those left out included.
        """
        ...


def probability_of(recorded: Recorded) -> float:
    """Read the score that was expected before a stored response was seen, in [0, 1]."""
    return float(recorded.outcome["probability_correct"])
