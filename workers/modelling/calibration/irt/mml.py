"""Calibration by marginal maximum likelihood: EM with extrapolated steps.

Abilities are N(0, 1), which fixes the scale, and integrated out on a fixed grid fine enough for
the person with most answers. Sources: Bock & Aitkin (1981), Psychometrika 46, 443-459; steps are
extrapolated by SQUAREM, Varadhan & Roland (2008), Scandinavian Journal of Statistics 35, 335-353,
and one that lands lower than the plain step is not taken.
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
"""How near to rest a fit comes that only priors are learnt from."""
_LEARNING = 6
"""Times that priors are learnt anew."""
_FEW_ROUNDS = 6


@dataclass(frozen=True)
class CalibratedItem:
    """One item's parameters and what is to be thought of them.

    Args:
        item: the parameters.
        errors: their standard errors, in an item's form; NaN where there is none to give.
        answers: how many there are (weights counted).
        infit, outfit: mean squares, 1 where the model holds (`MeanSquares`).
        warnings: sentences, empty if there is nothing to say.
    """

    item: Item
    errors: Item
    answers: float
    infit: float
    outfit: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Calibration:
    """What a calibration found.

    Args:
        items: in the order of the answers' items.
        bank: the same, to go on computing with.
        log_likelihood: of the answers, nats, abilities integrated out, without the priors.
        priors: under which the items were found.
        history: log likelihood plus log prior density after each round; never falls.
        converged: whether the parameters came to rest.
        points: of the grid.
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
        """Of each item a."""
        return np.array([one.item.discrimination for one in self.items])

    @property
    def difficulty(self) -> Floats:
        """Of each item b, logits; of one with steps the mean of its thresholds."""
        return np.array([np.mean(one.item.thresholds) for one in self.items])


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
        answers: at least one.
        model: of all items, or of each.
        steps: thresholds of each item of a model with steps; its scores are 0, 1/steps … 1, and one
            between them counts as the nearest.
        priors: of the parameters. Items that have no finite estimate without (all right, all
            wrong, a step never reached, hardly an answer) are held by `WEAK_PRIORS` and warned of.
        points: of the grid of abilities; by default as many as the longest history needs.
        tolerance: at rest once no parameter moves farther in a round.
        rounds: of EM at most.
        errors: whether standard errors are wanted.
        learn_priors: whether means and deviations of log a and of b are learnt from the items,
            from `priors` (or `WEAK_PRIORS`) on: shrinks what few answers say to what is usual here.

    Raises:
        ValueError: if there is no answer, or models and steps do not fit the items.
    """
    if not answers.person.size:
        raise ValueError("answers must be at least one")
    bank = starting_bank(answers, _models(model, answers.items), _steps(steps, answers.items))
    degenerates = [check_answers(group, answers) for group in bank.groups]
    priors_of_groups = [GroupPriors(priors, found.held) for found in degenerates]
    grid = grid_of(points or points_for(answers))
    expectation = Expectation(bank.weights(answers), answers.weights, grid)
    if learn_priors:
        bank, priors = _with_priors(bank, expectation, priors, degenerates)
        priors_of_groups = [GroupPriors(priors, found.held) for found in degenerates]
    optimiser = _Optimiser(expectation, priors_of_groups, tolerance)
    bank, converged = optimiser.run(bank, rounds)
    expected = expectation.run(bank)
    of_errors = standard_errors(bank, expectation, expected, priors_of_groups) if errors else None
    return Calibration(
        _items(bank, expected, of_errors, degenerates, grid.theta),
        bank,
        expected.log_likelihood,
        priors,
        optimiser.history,
        converged,
        grid.theta.size,
    )


def _with_priors(
    bank: Bank, expectation: Expectation, priors: Priors, degenerates: list[AnswerCheck]
) -> tuple[Bank, Priors]:
    """Priors learnt from the items, and the items under them, roughly."""
    priors = replace(
        priors,
        discrimination=priors.discrimination or WEAK_PRIORS.discrimination,
        difficulty=priors.difficulty or WEAK_PRIORS.difficulty,
    )
    for _ in range(_LEARNING):
        priors_of_groups = [GroupPriors(priors, found.held) for found in degenerates]
        bank, _ = _Optimiser(expectation, priors_of_groups, _ROUGHLY).run(bank, _FEW_ROUNDS)
        errors = rough_errors(bank, expectation.grid.theta, expectation.run(bank), priors_of_groups)
        priors = empirical_priors(priors, bank.groups, errors)
    return bank, priors


class _Optimiser:
    """EM from a start to rest."""

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
        """The bank at rest, and whether it came to rest within that many rounds."""
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
        """Log likelihood and log prior density of a bank, -inf if it is none."""
        logs = [group.log_curves(self._expectation.grid.theta) for group in bank.groups]
        if not all(np.isfinite(each).all() for each in logs):
            return -np.inf, Expected(-np.inf, np.empty(0))
        expected = self._expectation.run(bank)
        density = sum(
            float(priors_of_group.log_density(g).sum())
            for g, priors_of_group in zip(bank.groups, self._priors_of_groups, strict=True)
        )
        return expected.log_likelihood + density, expected


def _extrapolated(start: Bank, first: Bank, second: Bank) -> Bank | None:
    """The extrapolated step, each group's by itself; None if there is nothing to extrapolate."""
    found = []
    for a, b, c in zip(start.groups, first.groups, second.groups, strict=True):
        r = b.parameters - a.parameters
        v = c.parameters - b.parameters - r
        if not (v**2).sum() > 0.0:
            return None
        far = min(max(float(np.sqrt((r**2).sum() / (v**2).sum())), 1.0), _FARTHEST)
        found.append(a.parameters + 2.0 * far * r + far**2 * v)
    return start.with_parameters(found)


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
    found = [1] * items if steps is None else list(steps)
    if len(found) != items or any(k < 1 for k in found):
        raise ValueError(f"steps must be 1 or more for each of the {items} items")
    return found


def _items(
    bank: Bank,
    expected: Expected,
    errors: list[Floats] | None,
    degenerates: list[AnswerCheck],
    theta: Floats,
) -> list[CalibratedItem]:
    nothing = [np.full(g.parameters.shape, np.nan) for g in bank.groups]
    found: dict[int, CalibratedItem] = {}
    items = bank.items()
    groups = zip(bank.groups, bank.slices(), errors or nothing, degenerates, strict=True)
    for group, cells, of_errors, about in groups:
        counts = expected.counts[cells].reshape(group.items.size, -1, theta.size)
        fit: MeanSquares = mean_squares(group, counts, theta)
        for n, place in enumerate(group.items.tolist()):
            item, error = items[place], _errors(items[place], group, of_errors[n])
            warnings = (
                *about.warnings[n],
                *parameter_warnings(item, error, asked=errors is not None),
            )
            found[place] = CalibratedItem(
                item, error, float(about.answers[n]), float(fit.infit[n]), float(fit.outfit[n]),
                warnings,
            )  # fmt: skip
    return [found[place] for place in sorted(found)]


def _errors(item: Item, group: Group, errors: Floats) -> Item:
    k = 1 + group.steps
    last = errors[k:].tolist()
    return item._replace(
        discrimination=float(errors[0]),
        thresholds=tuple(errors[1:k].tolist()),
        lower=last[0] if last else 0.0,
        upper=last[1] if len(last) > 1 else 0.0,
    )
