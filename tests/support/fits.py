"""Spend less on fits where a test asks about something else; CI fits all of them."""

import pickle
from dataclasses import fields
from typing import Any, Final

import pytest

from tests.support.examples import THOROUGH
from workers.modelling.calibration.ability.fit import AbilityFit, fit_ability
from workers.modelling.calibration.bkt.fit import BktFit, fit_bkt
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.fitting import fit_table
from workers.modelling.calibration.table import Table

_RECIPES: Final = "workers.modelling.calibration"
_BKT: Final[dict[object, BktFit]] = {}
_ABILITY: Final[dict[object, AbilityFit]] = {}


def share_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make recipes share the fits of mastery and ability that they make of equal tables."""

    def bkt(table: Table, **how: Any) -> BktFit:
        key = _content(table), tuple(sorted(how.items()))
        if key not in _BKT:
            _BKT[key] = fit_bkt(table, **how)
        return _BKT[key]

    def ability(table: Table, like: AbilityFit | None = None) -> AbilityFit:
        key = _content(table), None if like is None else pickle.dumps((like.shared, like.own))
        if key not in _ABILITY:
            _ABILITY[key] = fit_ability(table, like)
        return _ABILITY[key]

    for module in ("bkt.mastery", "bkt.recipe"):
        monkeypatch.setattr(f"{_RECIPES}.{module}.fit_bkt", bkt)
    for module in ("combined.fit", "combined.recipe"):
        monkeypatch.setattr(f"{_RECIPES}.{module}.fit_ability", ability)


def _content(table: Table) -> bytes:
    return pickle.dumps([getattr(table, field.name) for field in fields(table)])


class FitOnce:
    """Fit each model to the first table only: every later table gets the same fit.

    It takes the place of `fit_table` in tests of a page or a command. Under CI each table gets its
    own fit.
    """

    def __init__(self) -> None:
        self._fits: dict[tuple[str, tuple[str, ...]], Fitted] = {}

    def __call__(self, model: str, table: Table) -> Fitted:
        key = model, tuple(table.concepts)
        if THOROUGH or key not in self._fits:
            self._fits[key] = fit_table(model, table)
        return self._fits[key]


def evaluate_with(monkeypatch: pytest.MonkeyPatch, fits: FitOnce) -> None:
    """Make evaluations take their fits from `fits`, whose last step has few parts (`few_parts`)."""
    share_parts(monkeypatch)
    if not THOROUGH:
        monkeypatch.setattr("workers.modelling.calibration.combined.fit._MOST_PARTS", 2)
    monkeypatch.setattr("workers.modelling.evaluation.protocol.fit_table", fits)
