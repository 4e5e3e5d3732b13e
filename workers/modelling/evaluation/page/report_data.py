"""What the page of an evaluation is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from workers.modelling.calibration.fitting import Fitted
from workers.modelling.evaluation.protocol import Predictions


@dataclass(frozen=True)
class Tally:
    """How often something was answered, and the sum of the scores."""

    answers: int = 0
    score: float = 0.0

    @property
    def right(self) -> float:
        """Mean score, in [0, 1]; of no answer it is not a number."""
        return self.score / self.answers if self.answers else float("nan")

    @property
    def alike(self) -> bool:
        """Whether all answers are right or all are wrong."""
        return self.score in {0.0, float(self.answers)}


@dataclass(frozen=True)
class Tallies:
    """Of all answers, by concept and by item; an answer counts for each of its concepts."""

    learners: int
    concepts: Mapping[str, Tally]
    items: Mapping[str, Tally]


@dataclass(frozen=True)
class Evaluation:
    """All that the page shows.

    Args:
        source: name of the file.
        generated_at: when it was made.
        predictions: of each model, at least one; all of the same answers in the same order.
        chosen: the model whose parameters are shown.
        fitted: that model, fitted on all answers.
        tallies: of all answers.
    """

    source: str
    generated_at: datetime
    predictions: Mapping[str, Predictions]
    chosen: str
    fitted: Fitted
    tallies: Tallies


def best(predictions: Mapping[str, Predictions]) -> str:
    """The model with the lowest log loss: it judges each probability, not only their order."""
    return min(predictions, key=lambda model: predictions[model].measures()["log_loss"])
