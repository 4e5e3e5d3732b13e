"""Cross-validation by learner: every answer is predicted one step ahead by the engine itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.calibration.fitting import Fitted, fit
from workers.estimation.answering import apply
from workers.estimation.learner import Learner, Response
from workers.estimation.metrics import auc, brier, ece, log_loss
from workers.estimation.parameters import Parameters

Floats = NDArray[np.float64]

FOLDS: Final = 5
SEED: Final = 42

Logs = Mapping[str, Sequence[Response]]
"""Of each learner, in the order of their first appearance, all answers in the learner's order."""


@dataclass(frozen=True)
class Predictions:
    """What a model predicted, and what then happened; all folds together.

    Args:
        score: of each answer, in [0, 1].
        probability: its expected score before it, in [0, 1].
        concept: the concept that it names first.
        attempt: its number among the learner's answers on that concept, from 1.
        history: how many answers of the learner came before it.
        fitted: what each fold's fit found.
    """

    score: Floats
    probability: Floats
    concept: Sequence[str]
    attempt: NDArray[np.int64]
    history: NDArray[np.int64]
    fitted: Sequence[Fitted]

    def measures(self) -> dict[str, float]:
        """AUC, RMSE, ECE over ten bins, log loss in nats, and the number of answers."""
        return {
            "auc": auc(self.score, self.probability),
            "rmse": float(np.sqrt(brier(self.score, self.probability))),
            "ece": ece(self.score, self.probability),
            "log_loss": log_loss(self.score, self.probability),
            "responses": self.score.size,
        }


def fold_of(learners: int) -> NDArray[np.int64]:
    """The fold of each learner, by number of first appearance."""
    return np.random.default_rng(SEED).permutation(learners) % FOLDS


def evaluate(model: str, logs: Logs, advance: Callable[[int], None]) -> Predictions:
    """Fit a model on four folds at a time and predict the fifth.

    Args:
        model: one of `workers.calibration.fitting.MODELS`.
        logs: at least one learner for each fold.
        advance: told how many answers were predicted since.

    Raises:
        ValueError: if the model is none, or learners are too few.
    """
    if len(logs) < FOLDS:
        raise ValueError(f"{FOLDS} learners or more are needed to hold some out, not {len(logs)}")
    fold = fold_of(len(logs))
    all_logs = list(logs.values())
    score, probability, attempt = [], [], []
    concept: list[str] = []
    history: list[int] = []
    found = []
    for held_out in range(FOLDS):
        trained = fit(
            model, [log for log, of in zip(all_logs, fold, strict=True) if of != held_out]
        )
        found.append(trained)
        for log in (log for log, of in zip(all_logs, fold, strict=True) if of == held_out):
            for response, expected, number in predict(log, trained.parameters):
                score.append(response.score)
                probability.append(expected)
                concept.append(response.concept_ids[0])
                attempt.append(number)
            history.extend(range(len(log)))
            advance(len(log))
    return Predictions(
        np.array(score),
        np.array(probability),
        concept,
        np.array(attempt),
        np.array(history),
        found,
    )


def predict(log: Sequence[Response], parameters: Parameters) -> list[tuple[Response, float, int]]:
    """Stream one learner's answers through the engine.

    Returns:
        Each answer, its expected score before it, and its number on the concept it names first.
    """
    learner = Learner(parameters_version=parameters.version)
    told = []
    for response in log:
        expected = apply(learner, response, parameters).probability_correct
        told.append((response, expected, learner.concepts[response.concept_ids[0]].attempts))
    return told
