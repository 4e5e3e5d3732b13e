"""Compare new and present parameters on held-out learners: predictions, and validity of mastery."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import stdtrit

from workers.estimation.metrics import auc, brier, ece, log_loss
from workers.modelling.calibration.table import Floats, Ints
from workers.modelling.judging.predicted import Predicted, log_losses
from workers.modelling.judging.validity import MasteryTrace, Validity, validity
from workers.modelling.judging.validity_difference import validity_difference

CONFIDENCE: Final = 0.95
"""One-sided confidence from which a difference counts."""
JUDGED_SHARE: Final = 0.4
"""Share of learner-concept pairs that each version declares mastered where validity is compared."""


@dataclass(frozen=True)
class Comparison:
    """Two versions on the same held-out learners.

    Args:
        learners: number of held-out learners with an answer.
        responses: number of their answers.
        new, present: AUC, log loss (nats), Brier score and ECE of each version.
        gain: log loss of an answer under the present version minus the new one, averaged over
            learners, nats.
        standard_error: standard error of the gain; NaN for fewer than two learners.
        new_mastery, present_mastery: validity of each version's mastery.
        validity_gain: validity of new minus present where each declares `JUDGED_SHARE` of the
            pairs, in [-1, 1]; NaN where no answer follows a declaration.
        validity_error: standard error of the validity gain, by learner; NaN for fewer than two
            learners.
    """

    learners: int
    responses: int
    new: dict[str, float]
    present: dict[str, float]
    gain: float
    standard_error: float
    new_mastery: Validity
    present_mastery: Validity
    validity_gain: float
    validity_error: float

    @property
    def better(self) -> bool:
        """True if the new version predicts better with 95 % confidence, by a t-test over learners.

        Source: Student (1908), "The probable error of a mean", Biometrika 6, 1-25.
        """
        # Equal gains of all learners do not show certainty: usually all of them are 0.
        return self.standard_error > 0.0 and self.gain > self._bound * self.standard_error

    @property
    def less_valid(self) -> bool:
        """True if the new mastery is less valid with 95 % confidence, by a t-test over learners."""
        return self.validity_gain < -self._bound * self.validity_error

    @property
    def _bound(self) -> float:
        """Quantile of t; infinite for fewer than two learners."""
        return float(stdtrit(self.learners - 1, CONFIDENCE)) if self.learners > 1 else math.inf

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Comparison":
        """Read the result of `document`."""
        mastery = document["mastery"]
        return cls(
            document["learners"],
            document["responses"],
            {name: _number(value) for name, value in document["new"].items()},
            {name: _number(value) for name, value in document["present"].items()},
            _number(document["gain"]),
            _number(document["standard_error"]),
            Validity.of(mastery["new"]),
            Validity.of(mastery["present"]),
            _number(mastery["validity_gain"]),
            _number(mastery["standard_error"]),
        )

    def document(self) -> dict[str, Any]:
        """Write as JSON; null where a figure is not defined."""
        return {
            "learners": self.learners,
            "responses": self.responses,
            "new": {name: _finite(value) for name, value in self.new.items()},
            "present": {name: _finite(value) for name, value in self.present.items()},
            "gain": _finite(self.gain),
            "standard_error": _finite(self.standard_error),
            "better": self.better,
            "mastery": {
                "new": self.new_mastery.document(),
                "present": self.present_mastery.document(),
                "share": JUDGED_SHARE,
                "validity_gain": _finite(self.validity_gain),
                "standard_error": _finite(self.validity_error),
                "less_valid": self.less_valid,
            },
        }


def compare(predicted: Predicted) -> Comparison:
    """Compare two versions on at least one answer."""
    _, learner = np.unique(predicted.learner, return_inverse=True)
    loss_differences = log_losses(predicted.score, predicted.present) - log_losses(
        predicted.score, predicted.new
    )
    gains = np.bincount(learner, loss_differences) / np.bincount(learner)
    error = float(gains.std(ddof=1) / np.sqrt(gains.size)) if gains.size > 1 else math.nan
    pair, learner_of_pair = _pairs(learner[predicted.linked_answer], predicted.linked_concept)
    score = predicted.score[predicted.linked_answer]
    new = MasteryTrace(pair, predicted.new_mastery, score)
    present = MasteryTrace(pair, predicted.present_mastery, score)
    return Comparison(
        gains.size,
        predicted.score.size,
        _measures(predicted.score, predicted.new),
        _measures(predicted.score, predicted.present),
        float(gains.mean()),
        error,
        validity(new),
        validity(present),
        *validity_difference(new, present, learner_of_pair, JUDGED_SHARE),
    )


def _pairs(learner: Ints, concept: Ints) -> tuple[Ints, Ints]:
    """Number the pairs of learner and concept from 0.

    Returns:
        The pair of each entry, shape (m,), and the learner of each pair, shape (p,).
    """
    concepts = int(concept.max()) + 1
    keys, pair = np.unique(learner * concepts + concept, return_inverse=True)
    return pair.astype(np.int64), keys // concepts


def _measures(score: Floats, expected: Floats) -> dict[str, float]:
    return {
        "auc": auc(score, expected),
        "log_loss": log_loss(score, expected),
        "brier": brier(score, expected),
        "ece": ece(score, expected),
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
