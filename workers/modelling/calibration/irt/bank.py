"""An item bank: parameters in groups of one model, and the cells of answers.

An item has a cell for each step of its score. An answer gives weight to cells: 1 to the cell of its
step; on an item without steps a score s gives s to "right" and 1 - s to "wrong". So any log
likelihood is weights times the cells' log probabilities, for all models.

Internal parameters of an item are slope a, intercepts d = -a·b and the logits of its lower
asymptote and of 1 - upper asymptote. The likelihood is smooth in them, even at a slope of 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from workers.modelling.calibration.irt.curves import log_curves
from workers.modelling.calibration.irt.response_data import Floats, Ints, ResponseData

Model = Literal["1PL", "2PL", "3PL", "4PL", "graded", "partial_credit"]
MODELS: tuple[Model, ...] = ("1PL", "2PL", "3PL", "4PL", "graded", "partial_credit")
_LEAST = 1e-9


class Item(NamedTuple):
    """Parameters of an item, logistic with D = 1.

    P(right | θ) = lower + (upper - lower) / (1 + exp(-a·(θ - b))). With several thresholds it is
    the graded response or the generalised partial credit model.
    """

    discrimination: float
    """a; common to all 1PL items of a bank."""
    thresholds: tuple[float, ...]
    """b, logits; one for each step of an item with steps."""
    lower: float = 0.0
    """Probability of a right answer at the lowest ability, in [0, upper)."""
    upper: float = 1.0
    """Probability of a right answer at the highest ability, in (lower, 1]."""
    model: Model = "2PL"


@dataclass(frozen=True)
class Group:
    """Items with the same model and number of steps.

    Args:
        model: the model.
        steps: number of thresholds of each item, 1 or more.
        items: places of the items in the bank, shape (n,).
        parameters: a, d of each step, and for 3PL and 4PL the logits of lower and 1 - upper; shape
            (n, parameters).
    """

    model: Model
    steps: int
    items: Ints
    parameters: Floats

    def log_curves(self, theta: Floats) -> Floats:
        """Compute the log probability of each step, shape (n, steps + 1, abilities)."""
        return log_curves(self.model, self.steps, self.parameters, theta)


@dataclass(frozen=True)
class Bank:
    """All items of a scale, in groups."""

    groups: tuple[Group, ...]

    @property
    def cells(self) -> int:
        """Number of cells."""
        return sum(g.items.size * (g.steps + 1) for g in self.groups)

    def log_cells(self, theta: Floats) -> Floats:
        """Compute the log probability of each cell at each ability, shape (cells, abilities)."""
        return np.concatenate([g.log_curves(theta).reshape(-1, theta.size) for g in self.groups])

    def slices(self) -> list[slice]:
        """Return the cells of each group."""
        ends = np.cumsum([0] + [g.items.size * (g.steps + 1) for g in self.groups]).tolist()
        return [slice(a, b) for a, b in pairwise(ends)]

    def with_parameters(self, parameters: Sequence[Floats]) -> "Bank":
        """Return the same items with other parameters, group by group."""
        return Bank(
            tuple(replace(g, parameters=p) for g, p in zip(self.groups, parameters, strict=True))
        )

    def items(self) -> list[Item]:
        """Return the items in the bank's order, in the usual parameters."""
        items: dict[int, Item] = {}
        for group in self.groups:
            a = group.parameters[:, 0]
            b = difficulties(group)
            last = group.parameters[:, 1 + group.steps :]
            lower = expit(last[:, 0]) if last.shape[1] > 0 else np.zeros(a.size)
            upper = expit(-last[:, 1]) if last.shape[1] > 1 else np.ones(a.size)
            columns = zip(
                group.items.tolist(), a.tolist(), b.tolist(), lower.tolist(), upper.tolist(),
                strict=True,
            )  # fmt: skip
            for place, slope, thresholds, low, high in columns:
                items[place] = Item(slope, tuple(thresholds), low, high, group.model)
        return [items[place] for place in sorted(items)]

    @cached_property
    def _places(self) -> tuple[Ints, Ints]:
        """First cell of each item, and its number of steps."""
        count = sum(g.items.size for g in self.groups)
        first, steps = np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64)
        for group, cells in zip(self.groups, self.slices(), strict=True):
            first[group.items] = cells.start + np.arange(group.items.size) * (group.steps + 1)
            steps[group.items] = 0 if group.steps == 1 and not _stepped(group) else group.steps
        return first, steps

    def weights(self, answers: ResponseData) -> csr_array:
        """Compute the weight of each person's answers on each cell, shape (persons, cells)."""
        first, steps = self._places
        cell, step = first[answers.item], steps[answers.item]
        plain = step == 0
        right, wrong = plain & (answers.score > 0.0), plain & (answers.score < 1.0)
        stepped = ~plain
        at = np.rint(answers.score * step).astype(np.int64)
        row = np.concatenate([answers.person[m] for m in (right, wrong, stepped)])
        column = np.concatenate([cell[right] + 1, cell[wrong], (cell + at)[stepped]])
        value = np.concatenate(
            [answers.score[right], 1.0 - answers.score[wrong], np.ones(int(stepped.sum()))]
        )
        return csr_array((value, (row, column)), shape=(answers.persons, self.cells))


def difficulties(group: Group) -> Floats:
    """Compute b of each step of each item, logits, shape (n, steps)."""
    a = group.parameters[:, :1]
    safe = np.where(np.abs(a) < _LEAST, np.copysign(_LEAST, a), a)
    return -group.parameters[:, 1 : 1 + group.steps] / safe


def _stepped(group: Group) -> bool:
    return group.model in {"graded", "partial_credit"}
