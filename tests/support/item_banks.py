"""Banks of known items, and response data of dense tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from workers.modelling.calibration.irt.bank import Bank, Group, Item, Model
from workers.modelling.calibration.irt.response_data import Floats, ResponseData


def data_of_table(table: NDArray[Any], weight: Floats | None = None) -> ResponseData:
    """Convert a dense table of scores, persons by items, to answers; NaN means no answer."""
    scores = np.asarray(table, dtype=np.float64)
    person, item = np.nonzero(~np.isnan(scores))
    return ResponseData(
        person, item, scores[person, item], scores.shape[0], scores.shape[1], weight
    )


def bank_of(items: Sequence[Item]) -> Bank:
    """Make a bank of known items.

    Raises:
        ValueError: if an item's numbers are outside their ranges.
    """
    for place, item in enumerate(items):
        if not np.isfinite([item.discrimination, *item.thresholds]).all() or not item.thresholds:
            raise ValueError(f"item {place} must have finite numbers and thresholds, not {item}")
        if not 0.0 <= item.lower < item.upper <= 1.0:
            raise ValueError(f"item {place} must keep 0 ≤ lower < upper ≤ 1, not {item}")
    kinds = [_kind(item) for item in items]
    groups = []
    for kind in dict.fromkeys(kinds):
        model, steps = kind
        places = [place for place, k in enumerate(kinds) if k == kind]
        rows = [_inner(items[place], model) for place in places]
        groups.append(Group(model, steps, np.array(places, dtype=np.int64), np.array(rows)))
    return Bank(tuple(groups))


def _kind(item: Item) -> tuple[Model, int]:
    if item.model in {"graded", "partial_credit"}:
        return item.model, len(item.thresholds)
    # Asymptotes count under any model name of the item.
    if item.upper < 1.0:
        return "4PL", 1
    return ("3PL" if item.lower > 0.0 else item.model), 1


def _inner(item: Item, model: Model) -> list[float]:
    a = item.discrimination
    row = [a, *(-a * b for b in item.thresholds)]
    if model in {"3PL", "4PL"}:
        row.append(float(logit(max(item.lower, 1e-15))))
    if model == "4PL":
        row.append(float(logit(max(1.0 - item.upper, 1e-15))))
    return row
