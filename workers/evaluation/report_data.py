"""What the page of an evaluation is made of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from workers.calibration.fitting import Fitted
from workers.estimation.learner import Response
from workers.evaluation.protocol import Predictions


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
    """Of all answers, by concept and by item."""

    learners: int
    concepts: Mapping[str, Tally]
    items: Mapping[str, Tally]

    @classmethod
    def of(cls, logs: Iterable[Sequence[Response]]) -> "Tallies":
        """Count whole logs, one for each learner; a response counts for each of its concepts."""
        concepts: dict[str, Tally] = {}
        items: dict[str, Tally] = {}
        learners = 0
        for log in logs:
            learners += 1
            for one in log:
                _count(items, one.item_id, one.score)
                for concept_id in one.concept_ids:
                    _count(concepts, concept_id, one.score)
        return cls(learners, concepts, items)


def _count(tallies: dict[str, Tally], name: str, score: float) -> None:
    before = tallies.get(name, Tally())
    tallies[name] = Tally(before.answers + 1, before.score + score)


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
