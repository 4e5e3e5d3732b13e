"""The E step: expected counts of answers at each ability, on a fixed grid under N(0, 1)."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from workers.modelling.calibration.irt.bank import Bank
from workers.modelling.calibration.irt.response_data import Floats, ResponseData

_REACH = 6.0
_CHUNK = 4096
"""Number of persons at once, which bounds the memory of posteriors."""
_DENSE = 0.15
"""Share of filled cells from which on a dense matrix multiplies faster."""
_DENSE_CELLS = 20_000_000
_DEEPEST = -1e6
"""Log probability of the impossible, finite so that weight 0 times it is 0."""


class Grid(NamedTuple):
    """Equally spaced abilities and the logarithm of their weights under N(0, 1)."""

    theta: Floats
    log_weight: Floats


def grid_of(points: int) -> Grid:
    """Build a grid over [-6, 6].

    The rectangular rule errs by about 2·exp(-2·π²·(s / step)²) on a posterior with standard
    deviation s.

    Args:
        points: number of abilities.
    """
    theta = np.linspace(-_REACH, _REACH, points)
    log_weight = -0.5 * theta**2
    return Grid(theta, log_weight - np.log(np.exp(log_weight).sum()))


def points_for(answers: ResponseData) -> int:
    """Choose the number of points so that a step is no wider than the narrowest posterior."""
    most = int(np.bincount(answers.person, minlength=1).max()) if answers.person.size else 0
    narrowest = 1.0 / np.sqrt(1.0 + 0.5 * most)
    return int(np.clip(2 * np.ceil(_REACH / narrowest) + 1, 49, 401))


class Expected(NamedTuple):
    """Result of an E step."""

    log_likelihood: float
    """Marginal log likelihood of all answers, nats."""
    counts: Floats
    """Expected weight of each cell at each ability, shape (cells, abilities)."""


class _Chunk(NamedTuple):
    """Weights of some persons in the cells, the same transposed, and the weight of each person."""

    weights: Any
    transposed: Any
    persons: Floats


class Expectation:
    """The E step of one set of answers.

    Args:
        weights: weights of the persons' answers in the cells, shape (persons, cells).
        persons: number of persons that each row stands for.
        grid: the abilities.
    """

    def __init__(self, weights: csr_array, persons: Floats, grid: Grid) -> None:
        self.weights, self.persons, self.grid = weights, persons, grid
        rows, columns = weights.shape
        dense = rows * columns <= _DENSE_CELLS and weights.nnz >= _DENSE * rows * columns
        self._chunks = []
        for start in range(0, rows, _CHUNK):
            part = weights[start : start + _CHUNK]
            forth = part.toarray() if dense else part
            back = forth.T if dense else part.T.tocsr()
            self._chunks.append(_Chunk(forth, back, persons[start : start + _CHUNK]))

    def posteriors(self, bank: Bank) -> Iterator[Floats]:
        """Yield the posteriors of each chunk of persons, shape (persons, abilities)."""
        return (posterior for posterior, _, _ in self._walk(bank))

    def run(self, bank: Bank) -> Expected:
        """Sum the posteriors under a bank's parameters."""
        counts = np.zeros((bank.cells, self.grid.theta.size))
        log_likelihood = 0.0
        for posterior, evidence, chunk in self._walk(bank):
            log_likelihood += float(chunk.persons @ evidence)
            counts += chunk.transposed @ (posterior * chunk.persons[:, None])
        return Expected(log_likelihood, counts)

    def _walk(self, bank: Bank) -> Iterator[tuple[Floats, Floats, _Chunk]]:
        logs = np.maximum(bank.log_cells(self.grid.theta), _DEEPEST)
        for chunk in self._chunks:
            posterior = chunk.weights @ logs
            posterior += self.grid.log_weight
            most = posterior.max(axis=1)
            posterior -= most[:, None]
            np.exp(posterior, out=posterior)
            total = posterior.sum(axis=1)
            posterior /= total[:, None]
            yield posterior, most + np.log(total), chunk
