"""Compare stored predictions with the scores of their responses, exactly and over all of them."""

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.estimation.learner import LearnerKey
from workers.estimation.metrics import auc, brier, ece, log_loss
from workers.ledger.predictions import StoredPrediction
from workers.metrics.drift.detector import Limits, Misfit, over_allowed
from workers.metrics.drift.histories import LABELS, group_of
from workers.metrics.drift.residuals import residuals
from workers.modelling.judging.validity import MasteryTrace, Validity, log_odds_of, validity

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

LIMITS: Final = Limits()
_MOST_SPANS: Final = 40
_FEWEST: Final = 250
"""Predictions needed for a span of time of its own."""


class LiveMeasures(NamedTuple):
    """Quality of a group of predictions; a measure that is not defined is NaN."""

    responses: int
    auc: float
    log_loss: float
    """Nats."""
    brier: float
    rmse: float
    ece: float
    """Over ten equal-width bins."""
    bias: Misfit
    excess: Misfit

    def drifts(self, limits: Limits) -> bool:
        """Return whether bias or excess exceeds its tolerance significantly."""
        return any(misfit.over > limits.alarm for misfit in (self.bias, self.excess))


class Span(NamedTuple):
    """Consecutive predictions, in the order in which responses were recorded."""

    first: int
    """Number of the first response, from 0."""
    from_us: int
    """Recording time of the first response, microseconds since 1970."""
    until_us: int
    """Recording time of the last response, microseconds since 1970."""
    measures: LiveMeasures
    score: float
    """Mean score."""
    probability: float
    """Mean prediction."""
    bias_error: float
    """Standard error of the mean bias if the predictions are right."""
    entropy: float
    """Log loss expected if the predictions are right, nats."""


@dataclass(frozen=True)
class Live:
    """Stored predictions, in the order in which their responses were recorded.

    Columns have an entry for each response, except where said otherwise.

    Args:
        score: current score, in [0, 1].
        probability: predicted score, in [0, 1].
        attempts: number of the learner's attempt at the response's first concept, from 1.
        parameters: version of the parameters that predicted it.
        recorded_us: microseconds since 1970.
        concepts: names of all concepts, shape (concepts,).
        of_response, of_concept: indices of the response and the concept of each pair, shape
            (pairs,).
        learner: number of the learner, from 0.
        mastery: stored mastery after the response, shape (pairs,).
    """

    score: Floats
    probability: Floats
    attempts: Places
    parameters: Places
    recorded_us: Places
    concepts: list[str]
    of_response: Places
    of_concept: Places
    learner: Places
    mastery: Floats

    def trace(self) -> MasteryTrace:
        """Return the stored mastery after each answer, in the order of recording.

        The mastery of a late response is the one after its replay. Stored mastery rounds to 1, so
        pairs can be tied there.
        """
        order = np.argsort(self.of_response, kind="stable")
        response, concept = self.of_response[order], self.of_concept[order]
        return MasteryTrace(
            self.learner[response] * len(self.concepts) + concept,
            log_odds_of(self.mastery[order]),
            self.score[response],
        )

    @cached_property
    def validity(self) -> Validity:
        """Validity of the stored mastery, at the default threshold and shares."""
        return validity(self.trace())

    def whole(self) -> LiveMeasures:
        """Measure all predictions."""
        return measured(self.score, self.probability)

    def by_version(self) -> dict[int, LiveMeasures]:
        """Measure the predictions of each version of the parameters."""
        return {version: self.among(rows) for version, rows in self.versions().items()}

    def versions(self) -> dict[int, Places]:
        """Return the rows of each version of the parameters."""
        return {
            int(version): np.flatnonzero(self.parameters == version)
            for version in np.unique(self.parameters)
        }

    def by_history(self, rows: Places | None = None) -> dict[str, LiveMeasures]:
        """Measure predictions by number of earlier answers on the concept.

        Args:
            rows: rows to measure; None for all.
        """
        chosen = np.arange(self.score.size) if rows is None else rows
        group = group_of(self.attempts[chosen])
        return {label: self.among(chosen[group == k]) for k, label in enumerate(LABELS)}

    def by_concept(self) -> dict[str, LiveMeasures]:
        """Measure each concept, the most answered first; a response counts for all its concepts."""
        order = np.argsort(self.of_concept, kind="stable")
        count = np.bincount(self.of_concept, minlength=len(self.concepts))
        ends = np.cumsum(count)
        return {
            self.concepts[k]: self.among(self.of_response[order[ends[k] - count[k] : ends[k]]])
            for k in np.argsort(-count, kind="stable")
        }

    def among(self, rows: Places) -> LiveMeasures:
        """Measure the predictions of these rows."""
        return measured(self.score[rows], self.probability[rows])

    def spans(self) -> list[Span]:
        """Split the predictions into up to 40 spans with equal numbers of responses."""
        size = self.score.size
        many = min(_MOST_SPANS, max(1, size // _FEWEST)) if size else 0
        edges = np.linspace(0, size, many + 1).round().astype(int)
        return [self._span(a, b) for a, b in pairwise(edges.tolist()) if b > a]

    def _span(self, first: int, after: int) -> Span:
        score, probability = self.score[first:after], self.probability[first:after]
        errors = residuals(score, probability)
        return Span(
            first,
            int(self.recorded_us[first]),
            int(self.recorded_us[after - 1]),
            measured(score, probability),
            float(score.mean()),
            float(probability.mean()),
            math.sqrt(errors.bias_variance.sum()) / score.size,
            float((errors.loss - errors.excess).mean()),
        )


def measured(score: Floats, probability: Floats) -> LiveMeasures:
    """Measure predictions against scores.

    Args:
        score: in [0, 1], shape (n,).
        probability: predicted score, in [0, 1], shape (n,).
    """
    nan = float("nan")
    if not score.size:
        nothing = Misfit(nan, nan)
        return LiveMeasures(0, nan, nan, nan, nan, nan, nothing, nothing)
    errors = residuals(score, probability)
    enough = errors.bias_variance.sum() >= LIMITS.evidence
    squared = brier(score, probability)
    return LiveMeasures(
        score.size,
        auc(score, probability),
        log_loss(score, probability),
        squared,
        math.sqrt(squared),
        ece(score, probability),
        _misfit(errors.bias, errors.bias_variance, LIMITS.bias, enough=bool(enough)),
        _misfit(errors.excess, errors.excess_variance, LIMITS.excess, enough=bool(enough)),
    )


def _misfit(values: Floats, variances: Floats, tolerated: float, *, enough: bool) -> Misfit:
    allowed = np.asarray(tolerated * values.size)
    over = float(over_allowed(np.asarray(values.sum()), np.asarray(variances.sum()), allowed))
    return Misfit(float(values.mean()), over if enough else float("nan"))


class Collected:
    """Collect predictions page by page, in some 70 bytes each."""

    def __init__(self) -> None:
        self._score, self._probability = array("d"), array("d")
        self._version, self._recorded_us = array("q"), array("q")
        self._attempts, self._parameters, self._named = array("i"), array("i"), array("i")
        self._concepts, self._learner = array("i"), array("i")
        self._mastery = array("d")
        self._codes: dict[str, int] = {}
        self._learners: dict[LearnerKey, int] = {}

    def __len__(self) -> int:
        return len(self._score)

    def add(self, page: Iterable[StoredPrediction]) -> None:
        """Keep what is in a page."""
        codes = self._codes
        for prediction in page:
            self._score.append(prediction.score)
            self._probability.append(prediction.probability)
            self._version.append(prediction.version)
            self._recorded_us.append(prediction.recorded_at_us)
            self._attempts.append(prediction.attempts)
            self._parameters.append(prediction.parameters_version)
            self._named.append(len(prediction.concept_ids))
            self._learner.append(self._learners.setdefault(prediction.learner, len(self._learners)))
            self._mastery.extend(prediction.masteries)
            self._concepts.extend(codes.setdefault(c, len(codes)) for c in prediction.concept_ids)

    def live(self) -> Live:
        """Return all predictions, in the order in which responses were recorded."""
        # Versions of all learners come from one sequence, so they rise in the order of commits.
        order = np.argsort(np.array(self._version, dtype=np.int64), kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(order.size)
        return Live(
            np.array(self._score, dtype=np.float64)[order],
            np.array(self._probability, dtype=np.float64)[order],
            np.array(self._attempts, dtype=np.int64)[order],
            np.array(self._parameters, dtype=np.int64)[order],
            np.array(self._recorded_us, dtype=np.int64)[order],
            list(self._codes),
            np.repeat(place, np.array(self._named, dtype=np.int64)),
            np.array(self._concepts, dtype=np.int64),
            np.array(self._learner, dtype=np.int64)[order],
            np.array(self._mastery, dtype=np.float64),
        )


def drifting(measures: Mapping[str, LiveMeasures]) -> list[str]:
    """Return the concepts whose predictions do not fit, Bonferroni-corrected for their number."""
    limits = LIMITS.of_many(max(1, len(measures)))
    return [name for name, of in measures.items() if of.drifts(limits)]
