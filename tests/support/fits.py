"""Spend less on fits where a test asks about something else; CI fits all of them."""

import pytest

from tests.support.examples import THOROUGH
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.fitting import fit_table
from workers.modelling.calibration.table import Table


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
    if not THOROUGH:
        monkeypatch.setattr("workers.modelling.calibration.combined.fit._MOST_PARTS", 2)
    monkeypatch.setattr("workers.modelling.evaluation.protocol.fit_table", fits)
