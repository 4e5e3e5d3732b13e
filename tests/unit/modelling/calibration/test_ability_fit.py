"""The fit of ability: comes to rest and says so; long logs do not cost all learners dear."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.support.examples import THOROUGH
from tests.support.factories import answer
from tests.support.simulated_learners import simulated
from workers.estimation.scales import PRACTICE_RATIO
from workers.modelling.calibration.ability import fit as module
from workers.modelling.calibration.ability.filter import run_filter
from workers.modelling.calibration.ability.fit import AbilityFit, fit_ability, on_table
from workers.modelling.calibration.ability.items import fit_items
from workers.modelling.calibration.fitting import fit
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.calibration.table import Table

# Every process would make again what the tests share.
pytestmark = pytest.mark.xdist_group("ability fit")

LOGS = simulated(60, 3, concepts=3, most=24 if THOROUGH else 12)
HEAD = 500


@cache
def fitted() -> AbilityFit:
    return fit_ability(table_of(LOGS)[0])


def rounds_of(monkeypatch: pytest.MonkeyPatch, table: Table) -> tuple[AbilityFit, list[Any]]:
    """A fit, and the items after each of its rounds."""
    seen: list[Any] = []
    moved = module._moved

    def noted(of: Table, before: Any, after: Any) -> float:
        seen.append(after)
        return moved(of, before, after)

    monkeypatch.setattr(module, "_moved", noted)
    return fit_ability(table), seen


def test_given_learners_when_fitted_then_the_fit_rests_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, _ = table_of(LOGS)
    fitted, seen = rounds_of(monkeypatch, table)
    assert fitted.converged
    # One round more moves no difficulty by what counts.
    again = fit_items(table, run_filter(table, fitted.model), fitted.items)
    assert module._moved(table, fitted.items, again) < 0.02
    assert len(seen) < module._MOST_ROUNDS
    assert not any("ability did not converge" in warning for warning in fit("irt", LOGS).warnings)


@pytest.mark.usefixtures("few_parts")
def test_given_too_few_rounds_then_the_fit_says_that_it_does_not_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST_ROUNDS", 3)
    assert not fit_ability(table_of(LOGS)[0]).converged
    for model in ("irt", "bkt-irt"):
        assert "the fit of ability did not converge" in fit(model, LOGS).warnings


def test_given_items_that_move_then_the_fit_goes_on_to_the_last_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_AT_REST", 0.0)
    monkeypatch.setattr(module, "_MOST_ROUNDS", 13)
    fitted, seen = rounds_of(monkeypatch, table_of(LOGS)[0])
    assert not fitted.converged
    assert len(seen) == 13 - module._ROUNDS + 1


def steps_seen(
    monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> dict[str, list[tuple[int, int]]]:
    """Steps and answers of the tables that parts of a fit are given."""
    seen: dict[str, list[tuple[int, int]]] = {name: [] for name in names}

    def noted(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def call(table: Table, *rest: Any) -> Any:
            seen[name].append((table.step.size - 1, table.score.size))
            return inner(table, *rest)

        return call

    for name in names:
        monkeypatch.setattr(module, name, noted(name, getattr(module, name)))
    return seen


def test_given_a_long_log_then_shared_numbers_are_fitted_to_its_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = [answer(k, score=float(k % 10 > 0), concepts=[f"c{k % 3}"]) for k in range(700)]
    logs = [*simulated(20, 3, concepts=3), long]
    monkeypatch.setattr(module, "_MOST_ROUNDS", 3)
    seen = steps_seen(monkeypatch, ["_fit_shared", "_fit_own", "run_filters", "run_filter"])
    fit_ability(table_of(logs)[0])
    answers = sum(map(len, logs))
    for name in ("_fit_shared", "_fit_own", "run_filters"):
        assert seen[name], name
        assert all(value == (HEAD, answers - 200) for value in seen[name]), name
    # The whole of it is passed through once in each round, and once at the end.
    assert seen["run_filter"] == [(700, answers)] * 4


def test_given_a_fit_to_be_like_then_all_but_the_items_are_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, _ = table_of(LOGS)
    whole = fitted()
    others = table.of(np.arange(table.learners) % 2 == 0)
    seen = steps_seen(monkeypatch, ["_fit_shared", "_fit_own"])
    part = fit_ability(others, like=whole)
    assert seen == {"_fit_shared": [], "_fit_own": []}
    assert part.shared.tolist() == whole.shared.tolist()
    assert part.own.tolist() == whole.own.tolist()
    answered = others.responses_of_item > 0
    assert (part.items.difficulty[answered] != whole.items.difficulty[answered]).all()


def test_given_a_fit_then_practice_saturates_and_the_numbers_are_inside() -> None:
    model = fitted().model
    assert model.ratio == PRACTICE_RATIO < 1.0
    assert np.isfinite(model.drift).all()
    assert (model.offset_variance > 0.0).all()
    assert (model.offset_walk > 0.0).all()
    assert model.variance > 0.0
    assert np.abs(model.drift).max() <= 0.6


def test_given_items_never_fitted_then_the_model_has_their_concepts_mean() -> None:
    table, _ = table_of(LOGS)
    # Learners are numbered by falling length: the last ones met few items.
    fitted = fit_ability(table.of(np.arange(table.learners) >= table.learners - 4))
    model = on_table(fitted, table)
    unseen = ~fitted.items.seen
    assert unseen.any()
    concept = table.concept_of_item[unseen]
    assert model.difficulty[unseen].tolist() == fitted.items.of_concept[concept].tolist()
    assert (model.discrimination[unseen] == 1.0).all()
    assert model.difficulty[~unseen].tolist() == fitted.model.difficulty[~unseen].tolist()
