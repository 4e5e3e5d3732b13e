"""Calibrate items by marginal maximum likelihood: EM with extrapolated steps.

Abilities are N(0, 1), which fixes the scale, and are integrated out on a fixed grid, fine enough
for the person with most answers. Sources: Bock & Aitkin (1981), Psychometrika 46, 443-459;
extrapolation by SQUAREM, Varadhan & Roland (2008), Scandinavian Journal of Statistics 35, 335-353.
An extrapolated step with a lower objective than the plain one is not taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from workers.modelling.calibration.irt.bank import MODELS, Bank, Group, Item, Model
from workers.modelling.calibration.irt.expectation import Expectation, Expected, grid_of, points_for
from workers.modelling.calibration.irt.fit_statistics import MeanSquares, mean_squares
from workers.modelling.calibration.irt.information import rough_errors, standard_errors
from workers.modelling.calibration.irt.item_checks import (
    AnswerCheck,
    check_answers,
    parameter_warnings,
)
from workers.modelling.calibration.irt.maximisation import maximise
from workers.modelling.calibration.irt.priors import (
    NO_PRIORS,
    WEAK_PRIORS,
    GroupPriors,
    Priors,
    empirical_priors,
)
from workers.modelling.calibration.irt.response_data import Floats, ResponseData
from workers.modelling.calibration.irt.starting_values import starting_bank

_FARTHEST = 64.0
_ROUGHLY = 1e-3
"""Tolerance of a fit that only serves to estimate priors."""
_LEARNING = 6
"""Number of times that priors are estimated anew."""
_FEW_ROUNDS = 6


@dataclass(frozen=True)
class CalibratedItem:
    """One item's parameters and diagnostics.

    Args:
        item: the parameters.
        errors: their standard errors, in the form of an item; NaN where undefined.
        answers: number of answers, weights counted.
        infit, outfit: mean squares, 1 where the model holds (`MeanSquares`).
        warnings: sentences, empty without a finding.
    """

    item: Item
    errors: Item
    answers: float
    infit: float
    outfit: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Calibration:
    """Result of a calibration.

    Args:
        items: items in the order of the answers' items.
        bank: the same items as a bank.
        log_likelihood: marginal log likelihood of the answers without the priors, nats.
        priors: priors of the items.
        history: log likelihood plus log prior density after each round; never falls.
        converged: True if the parameters converged.
        points: number of points of the grid.
    """

    items: list[CalibratedItem]
    bank: Bank
    log_likelihood: float
    priors: Priors
    history: list[float]
    converged: bool
    points: int

    @property
    def discrimination(self) -> Floats:
        """Discrimination a of each item."""
        return np.array([calibrated.item.discrimination for calibrated in self.items])

    @property
    def difficulty(self) -> Floats:
        """Difficulty b of each item, logits; the mean of the thresholds for an item with steps."""
        return np.array([np.mean(calibrated.item.thresholds) for calibrated in self.items])


def calibrate(
    answers: ResponseData,
    model: Model | Sequence[Model] = "2PL",
    *,
    steps: Sequence[int] | None = None,
    priors: Priors = NO_PRIORS,
    points: int | None = None,
    tolerance: float = 1e-4,
    rounds: int = 500,
    errors: bool = True,
    learn_priors: bool = False,
) -> Calibration:
    """Fit the items of a scale.

    Args:
        answers: at least one answer.
        model: model of all items, or one model per item.
        steps: number of thresholds of each item with steps; its scores are 0, 1/steps … 1, and a
            score between them counts as the nearest.
        priors: priors of the parameters. Items without a finite estimate (all right, all wrong, a
            step never reached, hardly any answer) take `WEAK_PRIORS` and get a warning.
        points: number of abilities of the grid; by default as many as the longest history needs.
        tolerance: change of a parameter in a round below which the fit has converged.
        rounds: largest number of EM rounds.
        errors: True to compute standard errors.
        learn_priors: True to estimate means and standard deviations of log a and of b from the
            items, starting at `priors` or `WEAK_PRIORS`; shrinks items with few answers to what is
            usual here.

    Raises:
        ValueError: there is no answer, or models and steps do not fit the items.
    """
    if not answers.person.size:
        raise ValueError("answers must be at least one")
    bank = starting_bank(answers, _models(model, answers.items), _steps(steps, answers.items))
    checks = [check_answers(group, answers) for group in bank.groups]
    priors_of_groups = [GroupPriors(priors, check.inestimable) for check in checks]
    grid = grid_of(points or points_for(answers))
    expectation = Expectation(bank.weights(answers), answers.weights, grid)
    if learn_priors:
        bank, priors = _with_priors(bank, expectation, priors, checks)
        priors_of_groups = [GroupPriors(priors, check.inestimable) for check in checks]
    optimiser = _Optimiser(expectation, priors_of_groups, tolerance)
    bank, converged = optimiser.run(bank, rounds)
    expected = expectation.run(bank)
    of_errors = standard_errors(bank, expectation, expected, priors_of_groups) if errors else None
    return Calibration(
        _items(bank, expected, of_errors, checks, grid.theta),
        bank,
        expected.log_likelihood,
        priors,
        optimiser.history,
        converged,
        grid.theta.size,
    )


def _with_priors(
    bank: Bank, expectation: Expectation, priors: Priors, checks: list[AnswerCheck]
) -> tuple[Bank, Priors]:
    """Estimate priors from the items, and fit the items under them roughly."""
    priors = replace(
        priors,
        discrimination=priors.discrimination or WEAK_PRIORS.discrimination,
        difficulty=priors.difficulty or WEAK_PRIORS.difficulty,
    )
    for _ in range(_LEARNING):
        priors_of_groups = [GroupPriors(priors, check.inestimable) for check in checks]
        bank, _ = _Optimiser(expectation, priors_of_groups, _ROUGHLY).run(bank, _FEW_ROUNDS)
        errors = rough_errors(bank, expectation.grid.theta, expectation.run(bank), priors_of_groups)
        priors = empirical_priors(priors, bank.groups, errors)
    return bank, priors


class _Optimiser:
    """EM from a start to convergence."""

    def __init__(
        self, expectation: Expectation, priors_of_groups: list[GroupPriors], tolerance: float
    ) -> None:
        self._expectation, self._priors_of_groups, self._tolerance = (
            expectation,
            priors_of_groups,
            tolerance,
        )
        self.history: list[float] = []

    def run(self, bank: Bank, rounds: int) -> tuple[Bank, bool]:
        """Run EM.

        Returns:
            The last bank, and True if it converged within the rounds.
        """
        value, expected = self._objective(bank)
        used = 0
        while used < rounds:
            first = self._maximise(bank, expected)
            value_1, expected_1 = self._objective(first)
            self.history.append(value_1)
            used += 1
            if _distance(bank, first) < self._tolerance:
                return first, True
            second = self._maximise(first, expected_1)
            used += 1
            jumped = _extrapolated(bank, first, second)
            bank, value, expected = second, *self._objective(second)
            self.history.append(value)
            if _distance(first, second) < self._tolerance:
                return bank, True
            if jumped is not None:
                reached, there = self._objective(jumped)
                if reached > value:
                    bank, value, expected = jumped, reached, there
                    self.history.append(value)
        return bank, False

    def _maximise(self, bank: Bank, expected: Expected) -> Bank:
        theta = self._expectation.grid.theta
        return Bank(
            tuple(
                maximise(
                    group,
                    expected.counts[cells].reshape(group.items.size, -1, theta.size),
                    theta,
                    priors_of_group,
                    self._tolerance,
                )
                for group, cells, priors_of_group in zip(
                    bank.groups, bank.slices(), self._priors_of_groups, strict=True
                )
            )
        )

    def _objective(self, bank: Bank) -> tuple[float, Expected]:
        """Compute log likelihood plus log prior density of a bank; -inf if it is invalid."""
        logs = [group.log_curves(self._expectation.grid.theta) for group in bank.groups]
        if not all(np.isfinite(values).all() for values in logs):
            return -np.inf, Expected(-np.inf, np.empty(0))
        expected = self._expectation.run(bank)
        density = sum(
            float(priors_of_group.log_density(g).sum())
            for g, priors_of_group in zip(bank.groups, self._priors_of_groups, strict=True)
        )
        return expected.log_likelihood + density, expected


def _extrapolated(start: Bank, first: Bank, second: Bank) -> Bank | None:
    """Extrapolate two steps, each group by itself; None if the steps do not differ."""
    parameters = []
    for a, b, c in zip(start.groups, first.groups, second.groups, strict=True):
        r = b.parameters - a.parameters
        v = c.parameters - b.parameters - r
        if not (v**2).sum() > 0.0:
            return None
        far = min(max(float(np.sqrt((r**2).sum() / (v**2).sum())), 1.0), _FARTHEST)
        parameters.append(a.parameters + 2.0 * far * r + far**2 * v)
    return start.with_parameters(parameters)


def _distance(a: Bank, b: Bank) -> float:
    return max(
        float(np.abs(x.parameters - y.parameters).max())
        for x, y in zip(a.groups, b.groups, strict=True)
    )


def _models(model: Model | Sequence[Model], items: int) -> list[Model]:
    models: list[Model] = [model] * items if isinstance(model, str) else list(model)
    if len(models) != items or not set(models) <= set(MODELS):
        raise ValueError(f"model must be one of {', '.join(MODELS)}, or one of them for each item")
    return models


def _steps(steps: Sequence[int] | None, items: int) -> list[int]:
    thresholds = [1] * items if steps is None else list(steps)
    if len(thresholds) != items or any(k < 1 for k in thresholds):
        raise ValueError(f"steps must be 1 or more for each of the {items} items")
    return thresholds


def _items(
    bank: Bank,
    expected: Expected,
    errors: list[Floats] | None,
    checks: list[AnswerCheck],
    theta: Floats,
) -> list[CalibratedItem]:
    nothing = [np.full(g.parameters.shape, np.nan) for g in bank.groups]
    calibrated: dict[int, CalibratedItem] = {}
    items = bank.items()
    groups = zip(bank.groups, bank.slices(), errors or nothing, checks, strict=True)
    for group, cells, of_errors, check in groups:
        counts = expected.counts[cells].reshape(group.items.size, -1, theta.size)
        fit: MeanSquares = mean_squares(group, counts, theta)
        for n, place in enumerate(group.items.tolist()):
            item, error = items[place], _errors(items[place], group, of_errors[n])
            warnings = (
                *check.warnings[n],
                *parameter_warnings(item, error, asked=errors is not None),
            )
            calibrated[place] = CalibratedItem(
                item, error, float(check.answers[n]), float(fit.infit[n]), float(fit.outfit[n]),
                warnings,
            )  # fmt: skip
    return [calibrated[place] for place in sorted(calibrated)]


def _errors(item: Item, group: Group, errors: Floats) -> Item:
    k = 1 + group.steps
    last = errors[k:].tolist()
    return item._replace(
        discrimination=float(errors[0]),
        thresholds=tuple(errors[1:k].tolist()),
        lower=last[0] if last else 0.0,
        upper=last[1] if len(last) > 1 else 0.0,
    )
