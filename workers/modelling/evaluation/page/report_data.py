"""What the page of an evaluation is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.tallies import Tallies
from workers.modelling.evaluation.protocol import Predictions


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
