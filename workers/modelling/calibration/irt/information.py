"""Standard errors from the observed information.

The information of the answers is the complete-data information minus the variance of the score over
each person's posterior: Louis (1982), "Finding the observed information matrix when using the EM
algorithm", Journal of the Royal Statistical Society B 44, 226-233. Up to `TOGETHER` parameters are
treated jointly. Beyond that each item is treated alone with the others' parameters taken as known,
which understates errors a little.
"""

import numpy as np
from scipy.special import expit

from workers.modelling.calibration.irt.bank import Bank, Group, difficulties
from workers.modelling.calibration.irt.expectation import Expectation, Expected
from workers.modelling.calibration.irt.item_information import item_covariances
from workers.modelling.calibration.irt.maximisation import slope_of
from workers.modelling.calibration.irt.priors import GroupPriors
from workers.modelling.calibration.irt.response_data import Floats
from workers.modelling.calibration.irt.score_function import inverse_or_nan, score_curves

TOGETHER = 600
"""Largest number of parameters that are treated jointly."""
_STEP = 1e-5
_MASS = 1e-9


def standard_errors(
    bank: Bank, expectation: Expectation, expected: Expected, priors_of_groups: list[GroupPriors]
) -> list[Floats]:
    """Compute standard errors of a, b of each step, lower and upper; NaN if undefined.

    Args:
        bank: the fitted parameters.
        expectation: E step of the answers.
        expected: its result under these parameters.
        priors_of_groups: the priors, whose curvature counts too.

    Returns:
        One array per group, shape (n, parameters).
    """
    complete = _complete(bank, expectation.grid.theta, expected, priors_of_groups)
    if sum(g.parameters.size for g in bank.groups) <= TOGETHER:
        covariances = _together(bank, expectation, complete)
    else:
        covariances = item_covariances(bank, expectation, complete)
    return [_outer(g, c) for g, c in zip(bank.groups, covariances, strict=True)]


def rough_errors(
    bank: Bank, theta: Floats, expected: Expected, priors_of_groups: list[GroupPriors]
) -> list[Floats]:
    """Approximate the standard errors as if abilities were known: too small, but cheap."""
    complete = _complete(bank, theta, expected, priors_of_groups)
    return [
        _outer(g, np.array([inverse_or_nan(matrix, matrix.diagonal()) for matrix in block]))[
            :, : 1 + g.steps
        ]
        for g, block in zip(bank.groups, complete, strict=True)
    ]


def _complete(
    bank: Bank, theta: Floats, expected: Expected, priors_of_groups: list[GroupPriors]
) -> list[Floats]:
    """Differentiate the expected log likelihood twice, negated, shape (n, p, p) per group."""
    blocks = []
    for group, cells, priors_of_group in zip(
        bank.groups, bank.slices(), priors_of_groups, strict=True
    ):
        n, p = group.parameters.shape
        counts = expected.counts[cells].reshape(n, -1, theta.size)
        hessian = np.empty((n, p, p))
        for k in range(p):
            shift = np.zeros(p)
            shift[k] = _STEP
            ends = [
                slope_of(_moved(group, sign * shift), counts, theta, priors_of_group).gradient
                for sign in (-1.0, 1.0)
            ]
            hessian[:, k] = (ends[0] - ends[1]) / (2.0 * _STEP)
        blocks.append(0.5 * (hessian + hessian.transpose(0, 2, 1)))
    return blocks


def _moved(group: Group, by: Floats) -> Group:
    return Group(group.model, group.steps, group.items, group.parameters + by)


def _together(bank: Bank, expectation: Expectation, complete: list[Floats]) -> list[Floats]:
    scores = score_curves(bank, expectation.grid.theta)
    total = sum(g.parameters.size for g in bank.groups)
    information = np.zeros((total, total))
    begin = 0
    for block in complete:
        for matrix in block:
            span = slice(begin, begin + matrix.shape[0])
            information[span, span] += matrix
            begin = span.stop
    start = 0
    for posterior in expectation.posteriors(bank):
        rows = slice(start, start + posterior.shape[0])
        start = rows.stop
        weights = expectation.weights[rows].toarray()
        persons = expectation.persons[rows]
        score = np.empty((posterior.shape[0], total))
        mean = np.zeros_like(score)
        for q in np.flatnonzero(posterior.sum(axis=0) > _MASS * posterior.shape[0]):
            _fill(score, bank, weights, scores, int(q))
            mean += posterior[:, q, None] * score
            score *= np.sqrt(persons * posterior[:, q])[:, None]
            information -= score.T @ score
        information += mean.T @ (persons[:, None] * mean)
    scale = np.concatenate([np.diagonal(matrix, 0, 1, 2).ravel() for matrix in complete])
    return _cut(bank, _inverse_with_shared_slopes(bank, information, scale))


def _fill(score: Floats, bank: Bank, weights: Floats, scores: list[Floats], q: int) -> None:
    """Write each person's score of every parameter at one ability."""
    begin = 0
    for group, cells, by in zip(bank.groups, bank.slices(), scores, strict=True):
        n, p = group.parameters.shape
        group_weights = weights[:, cells]
        for k in range(p):
            column = score[:, begin + k : begin + n * p : p]
            np.multiply(group_weights[:, :: group.steps + 1], by[:, k, 0, q], out=column)
            for step in range(1, group.steps + 1):
                column += group_weights[:, step :: group.steps + 1] * by[:, k, step, q]
        begin += n * p


def _inverse_with_shared_slopes(bank: Bank, information: Floats, scale: Floats) -> Floats:
    """Compute the covariance of all parameters; 1PL items share one slope."""
    total = information.shape[0]
    column = np.arange(total)
    begin = 0
    for group in bank.groups:
        n, p = group.parameters.shape
        if group.model == "1PL":
            column[begin : begin + n * p : p] = begin
        begin += n * p
    kept, place = np.unique(column, return_inverse=True)
    spread = np.zeros((total, kept.size))
    spread[np.arange(total), place] = 1.0
    inverse = inverse_or_nan(spread.T @ information @ spread, spread.T @ scale)
    return np.asarray(spread @ inverse @ spread.T)


def _cut(bank: Bank, covariance: Floats) -> list[Floats]:
    blocks, begin = [], 0
    for group in bank.groups:
        n, p = group.parameters.shape
        spans = [slice(begin + j * p, begin + (j + 1) * p) for j in range(n)]
        blocks.append(np.array([covariance[part, part] for part in spans]))
        begin += n * p
    return blocks


def _outer(group: Group, covariance: Floats) -> Floats:
    """Turn covariances of internal parameters into standard errors, by the delta method."""
    a, k = group.parameters[:, 0], group.steps
    b = difficulties(group)
    errors = np.empty(group.parameters.shape)
    variance = np.einsum("npp->np", covariance)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors[:, 0] = np.sqrt(variance[:, 0])
        for j in range(k):
            errors[:, 1 + j] = np.sqrt(
                variance[:, 1 + j] + 2.0 * b[:, j] * covariance[:, 0, 1 + j]
                + b[:, j] ** 2 * variance[:, 0]
            ) / np.abs(a)  # fmt: skip
        for column in range(1 + k, group.parameters.shape[1]):
            chance = expit(group.parameters[:, column])
            errors[:, column] = chance * (1.0 - chance) * np.sqrt(variance[:, column])
    return errors
