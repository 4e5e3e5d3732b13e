"""Held-out learners predicted by two versions of the parameters: which of them does it better?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.special import stdtrit

from workers.calibration.answers import Answers
from workers.calibration.table import Floats, Ints
from workers.estimation.metrics import auc, brier, ece, log_loss
from workers.estimation.parameters import Parameters
from workers.estimation.predicting import predict

CONFIDENCE: Final = 0.95
"""How sure it must be that new parameters predict better."""

_EDGE: Final = 2.0**-53
"""Nearness to 0 and 1 within which a prediction is judged as if it were there no nearer."""


class Predicted(NamedTuple):
    """What two versions expected of the answers of held-out learners."""

    learner: Ints
    """Of each answer."""
    row: Ints
    """Its place among all answers."""
    score: Floats
    new: Floats
    """Expected score before the answer was seen, in [0, 1]."""
    present: Floats
    """The same, by the present parameters."""


def predict_held_out(
    answers: Answers, span: tuple[int, int], new: Parameters, present: Parameters
) -> Predicted:
    """Stream held-out learners through the engine, under both.

    Args:
        answers: all.
        span: the first learner, and the one after the last.
        new: the parameters that were fitted.
        present: those that are active.
    """
    learner: list[int] = []
    row: list[int] = []
    score: list[float] = []
    by_new: list[float] = []
    by_present: list[float] = []
    for number in range(*span):
        if not answers.held_out[number]:
            continue
        log = answers.log(number)
        learner += [number] * len(log)
        row += range(int(answers.begin[number]), int(answers.begin[number + 1]))
        score += [one.score for one in log]
        by_new += [expected for _, expected, _ in predict(log, new)]
        by_present += [expected for _, expected, _ in predict(log, present)]
    return Predicted(
        np.array(learner, dtype=np.int64),
        np.array(row, dtype=np.int64),
        np.array(score, dtype=np.float64),
        _judged(by_new),
        _judged(by_present),
    )


def together(parts: Sequence[Predicted]) -> Predicted:
    """Spans as one; at least one of them."""
    return Predicted(*(np.concatenate(one) for one in zip(*parts, strict=True)))


def _judged(predictions: Sequence[float]) -> Floats:
    return np.clip(np.array(predictions, dtype=np.float64), _EDGE, 1.0 - _EDGE)


@dataclass(frozen=True)
class Comparison:
    """Which parameters predict held-out learners better.

    Args:
        learners: held-out learners with an answer.
        responses: their answers.
        new, present: AUC, log loss (nats), Brier and ECE of each; nothing without an answer.
        gain: mean over learners of how much lower the log loss of an answer is, nats.
        standard_error: of the gain; NaN for fewer than two learners.
    """

    learners: int
    responses: int
    new: dict[str, float]
    present: dict[str, float]
    gain: float
    standard_error: float

    @property
    def better(self) -> bool:
        """Whether the new ones predict better, beyond doubt: one-sided, paired by learner.

        Source: Student (1908), "The probable error of a mean", Biometrika 6, 1-25.
        """
        if self.learners < 2 or not self.standard_error > 0.0:
            return False
        bound = float(stdtrit(self.learners - 1, CONFIDENCE))
        return self.gain > bound * self.standard_error

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Comparison":
        """What `document` gave."""
        return cls(
            document["learners"],
            document["responses"],
            _numbers(document["new"]),
            _numbers(document["present"]),
            **_numbers({name: document[name] for name in ("gain", "standard_error")}),
        )

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "learners": self.learners,
            "responses": self.responses,
            "new": _finite(self.new),
            "present": _finite(self.present),
            **_finite({"gain": self.gain, "standard_error": self.standard_error}),
            "better": self.better,
        }


def compare(predicted: Predicted | None) -> Comparison:
    """Compare; None: nobody was held out."""
    if predicted is None:
        return Comparison(0, 0, {}, {}, 0.0, math.nan)
    _, of = np.unique(predicted.learner, return_inverse=True)
    each = _losses(predicted.score, predicted.present) - _losses(predicted.score, predicted.new)
    gains = np.bincount(of, each) / np.bincount(of)
    error = float(gains.std(ddof=1) / np.sqrt(gains.size)) if gains.size > 1 else math.nan
    return Comparison(
        gains.size,
        predicted.score.size,
        _measures(predicted.score, predicted.new),
        _measures(predicted.score, predicted.present),
        float(gains.mean()),
        error,
    )


@dataclass(frozen=True)
class Fit:
    """How well answers of held-out learners on a concept or an item are predicted.

    Args:
        answers: how many.
        infit: squared errors over what they should be: 1 where the predictions are right, above 1
            where the answers are noisier. Source: Wright & Masters (1982), "Rating scale analysis".
        residual: mean of score less prediction.
        log_loss: nats.
    """

    answers: int
    infit: float
    residual: float
    log_loss: float


def fit_of_items(answers: Answers, predicted: Predicted) -> dict[str, Fit]:
    """Of each item that held-out learners answered."""
    return _fits(answers.items, answers.item[predicted.row], predicted.score, predicted.new)


def fit_of_concepts(answers: Answers, predicted: Predicted) -> dict[str, Fit]:
    """Of each concept that held-out learners answered; an answer counts for each of its own."""
    links = np.diff(answers.link_begin)[predicted.row]
    place = np.repeat(np.arange(predicted.row.size), links)
    within = np.arange(place.size) - np.repeat(np.cumsum(links) - links, links)
    of = answers.concept[answers.link_begin[predicted.row][place] + within]
    return _fits(answers.concepts, of, predicted.score[place], predicted.new[place])


def _fits(names: Sequence[str], of: Any, score: Floats, expected: Floats) -> dict[str, Fit]:
    count = np.bincount(of, minlength=len(names))
    left = score - expected
    squares = np.bincount(of, left * left, len(names))
    variance = np.bincount(of, expected * (1.0 - expected), len(names))
    residual = np.bincount(of, left, len(names))
    loss = np.bincount(of, _losses(score, expected), len(names))
    return {
        names[at]: Fit(
            int(count[at]),
            float(squares[at] / variance[at]),
            float(residual[at] / count[at]),
            float(loss[at] / count[at]),
        )
        for at in np.flatnonzero(count).tolist()
    }


def _losses(score: Floats, expected: Floats) -> Floats:
    each: Floats = -score * np.log(expected) - (1.0 - score) * np.log1p(-expected)
    return each


def _measures(score: Floats, expected: Floats) -> dict[str, float]:
    return {
        "auc": auc(score, expected),
        "log_loss": log_loss(score, expected),
        "brier": brier(score, expected),
        "ece": ece(score, expected),
    }


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in values.items()}


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
