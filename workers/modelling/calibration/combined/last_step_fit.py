"""Fit the weights of the last step: a hierarchical logistic regression by concept.

A concept's weights are normal around those common to all concepts. EM estimates the variance of
each weight over concepts (with mode and curvature in place of the posterior's moments). So a
concept with few answers nearly has the common weights, and one with many has its own.

Source: Wong & Mason (1985), "The hierarchical logistic regression model for multilevel analysis",
Journal of the American Statistical Association 80, 513-524. An answer with several concepts steps
by a bound on the curvature: Böhning & Lindsay (1988), Annals of the Institute of Statistical
Mathematics 40, 641-663.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.special import expit

from workers.estimation.last_step import FEATURES
from workers.estimation.logistic import LOGIT_LIMIT
from workers.modelling.calibration.table import Floats, Table

_MOST_ROUNDS: Final = 60
_AT_REST: Final = 1e-3
"""Root mean square change of the logits in a round below which a fit has converged."""
_MOST_STEP: Final = 1.0
_USUAL_VARIANCE: Final = 0.01
"""Prior variance of a weight over concepts, in units of its feature's standard deviation, worth one
concept."""
_LEAST_VARIANCE: Final = 1e-5
_USUAL: Final = np.array([float(name == "ability") for name in FEATURES])
"""Prior mean of the common weights: the prediction by ability."""


@dataclass(frozen=True)
class LastStepFit:
    """Fitted weights in the order of `workers.estimation.last_step.FEATURES`.

    Args:
        common: weights of a concept without its own, shape (features,).
        own: weights of each concept, shape (concepts, features).
        logit: fitted logit of each response, shape (responses,).
        converged: True if the fit converged.
    """

    common: Floats
    own: Floats
    logit: Floats
    converged: bool


def fit_last_step(table: Table, design: Floats) -> LastStepFit:
    """Fit the weights to features predicted by parameters of other learners.

    Args:
        table: the responses, at least one.
        design: features of each link, shape (links, features).
    """
    scale = np.where(np.ptp(design, axis=0) > 0.0, design.std(axis=0), 1.0)
    problem = _Problem(table, design / scale)
    common, departures = _USUAL * scale, np.zeros((len(table.concepts), scale.size))
    variance = np.full(scale.size, _USUAL_VARIANCE)
    logit = problem.logit(common, departures)
    converged = False
    for _ in range(_MOST_ROUNDS):
        before = logit
        common = common + problem.common_step(logit, common - _USUAL * scale)
        logit = problem.logit(common, departures)
        step, spread = problem.own_step(logit, departures, variance)
        departures = departures + step
        logit = problem.logit(common, departures)
        variance = np.maximum((spread + _USUAL_VARIANCE) / (problem.answered + 1), _LEAST_VARIANCE)
        converged = bool(np.sqrt(np.square(logit - before).mean()) < _AT_REST)
        if converged:
            break
    return LastStepFit(common / scale, (common + departures) / scale, logit, converged)


class _Problem:
    """The answers, sorted by concept.

    Args:
        table: the responses.
        features: features of each link, each divided by its standard deviation.
    """

    def __init__(self, table: Table, features: Floats) -> None:
        order = np.argsort(table.concept, kind="stable")
        self._features, self._concept = features[order], table.concept[order]
        self._link, self._share = table.link[order], table.share[order]
        self._score = table.score
        ends = np.searchsorted(self._concept, np.arange(len(table.concepts) + 1)).tolist()
        self._spans = [slice(a, b) for a, b in pairwise(ends)]
        self.answered = sum(span.stop > span.start for span in self._spans)
        rows = np.zeros((table.score.size, features.shape[1]))
        np.add.at(rows, self._link, self._features * self._share[:, None])
        self._rows = rows

    def logit(self, common: Floats, departures: Floats) -> Floats:
        """Return the logit of each response, within ±30."""
        products = np.einsum("ij,ij->i", self._features, common + departures[self._concept])
        logits = np.bincount(self._link, products * self._share, self._score.size)
        return np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)

    def common_step(self, logit: Floats, off: Floats) -> Floats:
        """Return a Newton step of the common weights, which lie `off` from their prior mean."""
        p = expit(logit)
        slope = self._rows.T @ (self._score - p) - off
        bend = (self._rows * (p * (1.0 - p))[:, None]).T @ self._rows + np.eye(off.size)
        return _short(np.linalg.solve(bend, slope))

    def own_step(
        self, logit: Floats, departures: Floats, variance: Floats
    ) -> tuple[Floats, Floats]:
        """Compute a step of each concept's departures.

        Returns:
            The step, shape (concepts, features), and the expected squares of the departures summed
            over concepts, shape (features,).
        """
        p = expit(logit)
        left = (self._share * (self._score - p)[self._link])[:, None] * self._features
        weight = (self._share * (p * (1.0 - p))[self._link])[:, None] * self._features
        size = departures.shape[1]
        slope, bend = np.zeros_like(departures), np.zeros((departures.shape[0], size, size))
        for concept, span in enumerate(self._spans):
            slope[concept] = left[span].sum(axis=0)
            bend[concept] = weight[span].T @ self._features[span]
        bend += np.diag(1.0 / variance)
        inverse = np.linalg.inv(bend)
        step = np.einsum("cij,cj->ci", inverse, slope - departures / variance)
        # A concept without an answer has no information about the variance over concepts.
        seen = np.array([span.stop > span.start for span in self._spans])
        spread = departures**2 + np.einsum("cii->ci", inverse)
        return _short(step), spread[seen].sum(axis=0)


def _short(step: Floats) -> Floats:
    return np.clip(step, -_MOST_STEP, _MOST_STEP)
