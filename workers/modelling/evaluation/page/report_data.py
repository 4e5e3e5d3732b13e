"""The data of the page of an evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.tallies import Tallies
from workers.modelling.evaluation.protocol import Predictions


@dataclass(frozen=True)
class Evaluation:
    """The data of the page of an evaluation.

    Args:
        source: name of the file.
        generated_at: time shown in the footer.
        predictions: by model, at least one; all for the same answers in the same order.
        chosen: the model whose parameters are shown.
        fitted: the chosen model, fitted on all answers.
        tallies: counts of all answers.
    """

    source: str
    generated_at: datetime
    predictions: Mapping[str, Predictions]
    chosen: str
    fitted: Fitted
    tallies: Tallies


def best(predictions: Mapping[str, Predictions]) -> str:
    """Return the model with the lowest log loss, which judges probabilities, not only ranks."""
    return min(predictions, key=lambda model: predictions[model].measures()["log_loss"])
