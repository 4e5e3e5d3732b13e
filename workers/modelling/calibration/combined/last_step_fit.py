"""Fit the weights of the last step: a hierarchical logistic regression by concept.

A concept's weights are normal around those common to all concepts. EM estimates the variance of
each weight over concepts (with mode and curvature in place of the posterior's moments). So a
concept with few answers nearly has the common weights, and one with many has its own.

Source: Wong & Mason (1985), "The hierarchical logistic regression model for multilevel analysis",
Journal of the American Statistical Association 80, 513-524. An answer with several concepts steps
by a bound on the curvature: Böhning & Lindsay (1988), Annals of the Institute of Statistical
Mathematics 40, 641-663.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.special import expit

from workers.estimation.last_step import FEATURES
from workers.estimation.logistic import LOGIT_LIMIT
from workers.modelling.calibration.paging import column, pages, pages_of, release
from workers.modelling.calibration.table import Floats, Ints, Table

_MOST_ROUNDS: Final = 60
_AT_REST: Final = 1e-3
"""Root mean square change of the logits in a round below which a fit has converged."""
_MOST_STEP: Final = 1.0
_USUAL_VARIANCE: Final = 0.01
"""Prior variance of a weight over concepts, in units of its feature's standard deviation, worth one
concept."""
_LEAST_VARIANCE: Final = 1e-5
_BLOCK: Final = 2**20
"""Number of rows of a product of matrices. Products of longer columns are summed block by block:
the last bits depend on this number, and so on no other size."""
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
    scale = _deviations(design)
    problem = _Problem(table, design, scale)
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


def _deviations(design: Floats) -> Floats:
    """Compute the standard deviation of each column, 1 for a column without a spread."""
    low = np.min([design[page].min(axis=0) for page in pages(len(design))], axis=0)
    high = np.max([design[page].max(axis=0) for page in pages(len(design))], axis=0)
    mean = _column_sums(design[page] for page in pages(len(design))) / len(design)
    release(design)
    squares = _column_sums(np.square(design[page] - mean) for page in pages(len(design)))
    release(design)
    return np.where(high - low > 0.0, np.sqrt(squares / len(design)), 1.0)


def _column_sums(parts: Iterable[Floats]) -> Floats:
    """Sum the columns of consecutive parts of a matrix, row by row as over the whole matrix."""
    total: Floats | None = None
    for part in parts:
        rows = part if total is None else np.concatenate([total[None], part])
        total = rows.sum(axis=0)
    return np.zeros(0) if total is None else total


class _Problem:
    """The answers, sorted by concept.

    Args:
        table: the responses.
        design: features of each link.
        scale: standard deviation of each feature, by which it is divided.
    """

    def __init__(self, table: Table, design: Floats, scale: Floats) -> None:
        self._table, self._design, self._scale = table, design, scale
        ends = np.concatenate([[0], np.cumsum(table.links_of_concept)])
        self._spans = [slice(a, b) for a, b in pairwise(ends.tolist())]
        self.answered = sum(span.stop > span.start for span in self._spans)
        self._link = column(table.link.size, np.int32)
        self._features = column(design.shape, np.float64)
        place = ends[:-1].copy()
        for page in pages(table.link.size):
            concept = table.concept[page]
            order = np.argsort(concept, kind="stable")
            count = np.bincount(concept, minlength=place.size)
            at = np.repeat(place - np.cumsum(count) + count, count) + np.arange(order.size)
            self._link[at] = table.link[page][order]
            self._features[at] = (design[page] / scale)[order]
            place += count
            release(design, self._features, self._link)
        table.release()

    def logit(self, common: Floats, departures: Floats) -> Floats:
        """Return the logit of each response, within ±30."""
        logits = np.zeros(self._table.score.size)
        for concept, span in enumerate(self._spans):
            weights = (common + departures[concept])[None]
            for links in pages_of(span):
                link, features = self._link[links], self._features[links]
                products = np.einsum("ij,ij->i", features, np.repeat(weights, link.size, axis=0))
                np.add.at(logits, link, products * self._share(link))
                release(self._features, self._link)
        return np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)

    def _share(self, link: Ints) -> Floats:
        return np.asarray(1.0 / self._table.linked[link])

    def _rows(self) -> Iterator[tuple[slice, Floats]]:
        """Yield pages of responses, with the mean features of each response."""
        table = self._table
        for rows in pages(table.score.size, _BLOCK):
            if table.single:
                # Adding 0 makes zeros positive, as in sums.
                yield rows, self._design[rows] / self._scale + 0.0
                release(self._design)
                continue
            first, last = np.searchsorted(table.link, [rows.start, rows.stop]).tolist()
            order = first + np.argsort(table.concept[first:last], kind="stable")
            features = self._design[first:last][order - first] / self._scale
            share = self._share(table.link[order])[:, None]
            mean = np.zeros((rows.stop - rows.start, self._scale.size))
            np.add.at(mean, table.link[order] - rows.start, features * share)
            release(self._design)
            yield rows, mean

    def common_step(self, logit: Floats, off: Floats) -> Floats:
        """Return a Newton step of the common weights, which lie `off` from their prior mean."""
        slope, bend = np.zeros(off.size), np.zeros((off.size, off.size))
        for rows, features in self._rows():
            p = expit(logit[rows])
            slope += features.T @ (self._table.score[rows] - p)
            bend += (features * (p * (1.0 - p))[:, None]).T @ features
        solved = np.linalg.solve(bend + np.eye(off.size), slope - off)
        return _short(np.asarray(solved, dtype=np.float64))

    def own_step(
        self, logit: Floats, departures: Floats, variance: Floats
    ) -> tuple[Floats, Floats]:
        """Compute a step of each concept's departures.

        Returns:
            The step, shape (concepts, features), and the expected squares of the departures summed
            over concepts, shape (features,).
        """
        size = departures.shape[1]
        slope, bend = np.zeros_like(departures), np.zeros((departures.shape[0], size, size))
        for concept, span in enumerate(self._spans):
            for links in pages_of(span, _BLOCK):
                link, features = self._link[links], self._features[links]
                p, share = expit(logit[link]), self._share(link)
                left = (share * (self._table.score[link] - p))[:, None] * features
                weight = (share * (p * (1.0 - p)))[:, None] * features
                slope[concept] += left.sum(axis=0)
                bend[concept] += weight.T @ features
                release(self._features, self._link)
        bend += np.diag(1.0 / variance)
        inverse = np.linalg.inv(bend)
        step = np.einsum("cij,cj->ci", inverse, slope - departures / variance)
        # A concept without an answer has no information about the variance over concepts.
        seen = np.array([span.stop > span.start for span in self._spans])
        spread = departures**2 + np.einsum("cii->ci", inverse)
        return _short(step), spread[seen].sum(axis=0)


def _short(step: Floats) -> Floats:
    return np.clip(step, -_MOST_STEP, _MOST_STEP)
