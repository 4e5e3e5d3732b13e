"""Calibration: what does not matter changes nothing, likelihood only rises, items are recovered."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import lsat
from tests.support.examples import THOROUGH
from tests.support.item_banks import data_of_table
from tests.support.simulated_items import drawn
from workers.modelling.calibration.irt import information
from workers.modelling.calibration.irt.bank import MODELS, Bank, Item, Model
from workers.modelling.calibration.irt.expectation import Expectation, grid_of
from workers.modelling.calibration.irt.mml import Calibration, calibrate
from workers.modelling.calibration.irt.priors import NO_PRIORS, WEAK_PRIORS, GroupPriors
from workers.modelling.calibration.irt.response_data import Floats, ResponseData

SEEDS = st.integers(0, 2**32 - 1)


def some_items(model: Model, number: int, seed: int, steps: int = 3) -> list[Item]:
    draw = np.random.default_rng(seed)
    items = []
    for place in range(number):
        a, b = float(draw.uniform(0.7, 1.6)), float(draw.normal(0.0, 0.8))
        stepped = model in {"graded", "partial_credit"}
        thresholds = tuple(b + np.linspace(-0.9, 0.9, steps)) if stepped else (b,)
        lower = 0.15 if model in {"3PL", "4PL"} else 0.0
        upper = 0.95 if model == "4PL" else 1.0
        slope = 1.2 if model == "1PL" else a
        items.append(Item(slope, thresholds, lower, upper, model))
        assert place < number
    return items


def some_answers(
    model: Model, persons: int, seed: int, missing: float = 0.0, items: int = 8
) -> ResponseData:
    theta = np.random.default_rng(seed).normal(size=persons)
    return drawn(some_items(model, items, seed), theta, seed, missing)


def fitted(answers: ResponseData, model: Model, **others: object) -> Calibration:
    priors = WEAK_PRIORS if model in {"3PL", "4PL"} else NO_PRIORS
    steps = [3] * answers.items if model in {"graded", "partial_credit"} else None
    options: dict[str, object] = {"priors": priors, "steps": steps, "tolerance": 1e-7, **others}
    return calibrate(answers, model, **options)  # type: ignore[arg-type]


def numbers(calibration: Calibration) -> Floats:
    return np.array(
        [
            [item.item.discrimination, *item.item.thresholds, item.item.lower, item.item.upper]
            for item in calibration.items
        ]
    )


@pytest.mark.parametrize("model", MODELS)
@given(seed=SEEDS)
@settings(max_examples=6 if THOROUGH else 3)
def test_given_any_answers_when_calibrated_then_the_likelihood_never_falls(
    model: Model, seed: int
) -> None:
    calibration = fitted(
        some_answers(model, 120, seed, missing=0.3), model, rounds=60, errors=False
    )
    assert all(b >= a - 1e-9 * abs(a) for a, b in pairwise(calibration.history))


@pytest.mark.parametrize("model", ["1PL", "2PL", "partial_credit"])
@given(seed=SEEDS)
@settings(max_examples=4 if THOROUGH else 2)
def test_given_reordered_persons_items_and_answers_then_the_fit_is_equal(
    model: Model, seed: int
) -> None:
    answers = some_answers(model, 200, seed, missing=0.2, items=5)
    draw = np.random.default_rng(seed)
    persons, items = draw.permutation(answers.persons), draw.permutation(answers.items)
    order = draw.permutation(answers.score.size)
    other = replace(
        answers,
        person=persons[answers.person[order]],
        item=items[answers.item[order]],
        score=answers.score[order],
    )
    first, second = fitted(answers, model), fitted(other, model)
    assert second.log_likelihood == pytest.approx(first.log_likelihood, rel=1e-9)
    assert numbers(second)[items] == pytest.approx(numbers(first), rel=1e-3, abs=1e-3)


def test_given_gaps_or_none_when_calibrated_then_the_bits_are_the_same() -> None:
    draw = np.random.default_rng(5)
    table = draw.integers(0, 2, (200, 6)).astype(np.float64)
    table[draw.random(table.shape) < 0.4] = np.nan
    person, item = np.nonzero(~np.isnan(table))
    triples = ResponseData(person, item, table[person, item], 200, 6)
    assert (numbers(calibrate(data_of_table(table))) == numbers(calibrate(triples))).all()


def test_given_persons_without_answers_then_they_change_nothing() -> None:
    answers = some_answers("2PL", 300, 8)
    more = replace(answers, persons=answers.persons + 50)
    first, second = fitted(answers, "2PL"), fitted(more, "2PL")
    assert second.log_likelihood == pytest.approx(first.log_likelihood, rel=1e-12)
    assert numbers(second) == pytest.approx(numbers(first), abs=1e-6)


def test_given_weights_then_it_is_as_if_each_person_were_there() -> None:
    weighted = lsat.answers(lsat.LSAT_7)
    pattern = np.repeat(np.arange(weighted.persons), weighted.weights.astype(int))
    table = weighted.score.reshape(weighted.persons, 5)[pattern]
    first, second = (
        calibrate(weighted, tolerance=1e-7),
        calibrate(data_of_table(table), tolerance=1e-7),
    )
    assert numbers(second) == pytest.approx(numbers(first), abs=1e-6)
    for item, other in zip(first.items, second.items, strict=True):
        assert other.errors[0] == pytest.approx(item.errors[0], rel=1e-6)
        assert other.answers == item.answers == 1000.0


def test_given_two_step_items_under_any_such_model_then_it_is_the_2pl() -> None:
    answers = lsat.answers(lsat.LSAT_7)
    plain = calibrate(answers, "2PL", tolerance=1e-7)
    for model in ("graded", "partial_credit"):
        calibration = calibrate(answers, model, tolerance=1e-7)
        assert calibration.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-10)
        assert numbers(calibration)[:, :2] == pytest.approx(numbers(plain)[:, :2], abs=1e-4)


def test_given_partial_credit_on_plain_items_then_it_mixes_right_and_wrong() -> None:
    # A person with score 1/2 is worth half a person right and half a person wrong.
    score = np.array([0.5, 1.0, 0.0, 0.5])
    answers = ResponseData(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), score, 2, 2)
    calibration = calibrate(answers, priors=WEAK_PRIORS, points=201, errors=False)
    theta = grid_of(201).theta
    density = np.exp(grid_of(201).log_weight)
    p = [
        1.0 / (1.0 + np.exp(-item.item.discrimination * (theta - item.item.thresholds[0])))
        for item in calibration.items
    ]
    first = density @ (np.sqrt(p[0] * (1.0 - p[0])) * p[1])
    second = density @ ((1.0 - p[0]) * np.sqrt(p[1] * (1.0 - p[1])))
    assert calibration.log_likelihood == pytest.approx(
        float(np.log(first) + np.log(second)), rel=1e-10
    )


@pytest.mark.parametrize("model", MODELS)
def test_given_many_answers_then_items_lie_within_their_errors(
    model: Model,
) -> None:
    items = some_items(model, 12, 3)
    theta = np.random.default_rng(4).normal(size=2000 if THOROUGH else 600)
    calibration = fitted(drawn(items, theta, 5, missing=0.2), model, tolerance=1e-4)
    assert calibration.converged
    off = []
    for place, (fitted_item, true) in enumerate(zip(calibration.items, items, strict=True)):
        # 1PL items have one slope among them: it counts once.
        slopes = [
            (
                fitted_item.item.discrimination,
                true.discrimination,
                fitted_item.errors.discrimination,
            )
        ]
        pairs = [
            *(slopes if model != "1PL" or not place else []),
            *zip(
                fitted_item.item.thresholds,
                true.thresholds,
                fitted_item.errors.thresholds,
                strict=True,
            ),
        ]
        off += [(estimate - truth) / error for estimate, truth, error in pairs]
        assert 0.8 < fitted_item.infit < 1.2
        assert 0.7 < fitted_item.outfit < 1.3
    assert np.abs(off).max() < 4.5
    # Priors that are right draw estimates nearer than their errors say.
    least = 0.3 if model in {"3PL", "4PL"} else 0.55
    assert least < np.sqrt(np.mean(np.square(off))) < 1.45


def test_given_several_models_together_then_each_item_keeps_its_own() -> None:
    models: list[Model] = ["1PL", "graded", "2PL", "1PL", "partial_credit", "3PL"]
    items = [some_items(model, 1, seed)[0] for seed, model in enumerate(models)]
    theta = np.random.default_rng(1).normal(size=800 if THOROUGH else 500)
    answers = drawn(items, theta, 2)
    calibration = calibrate(answers, models, steps=[1, 3, 1, 1, 3, 1], priors=WEAK_PRIORS)
    assert [fitted_item.item.model for fitted_item in calibration.items] == models
    lengths = [len(fitted_item.item.thresholds) for fitted_item in calibration.items]
    assert lengths == [1, 3, 1, 1, 3, 1]
    assert calibration.items[0].item.discrimination == calibration.items[3].item.discrimination
    assert calibration.items[5].item.lower > 0.0
    for item, true in zip(calibration.items, items, strict=True):
        assert np.mean(item.item.thresholds) == pytest.approx(np.mean(true.thresholds), abs=0.4)


@pytest.mark.parametrize("model", ["2PL", "3PL", "graded"])
def test_given_a_fit_then_errors_are_those_of_a_numerical_hessian(
    model: Model,
) -> None:
    answers = some_answers(model, 500, 21, items=5)
    calibration = fitted(answers, model)
    (group,) = calibration.bank.groups
    expectation = Expectation(
        calibration.bank.weights(answers), answers.weights, grid_of(calibration.points)
    )
    priors = WEAK_PRIORS if model == "3PL" else NO_PRIORS
    priors_of_group = GroupPriors(priors, np.zeros(group.items.size, dtype=np.bool_))

    def value(flat: Floats) -> float:
        moved = replace(group, parameters=flat.reshape(group.parameters.shape))
        likelihood = expectation.run(Bank((moved,))).log_likelihood
        return likelihood + float(priors_of_group.log_density(moved).sum())

    at, step = group.parameters.ravel(), 2e-3
    n = at.size
    steps = np.eye(n) * step

    def around(offset: Floats) -> float:
        return value(at + offset) + value(at - offset)

    # Two values for each pair: (f(i+j) - f(i) - f(j) + f(0)) summed over both signs.
    middle, alone = 2.0 * value(at), [around(offset) for offset in steps]
    hessian = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            pair = around(steps[i] + steps[j]) - alone[i] - alone[j] + middle
            hessian[i, j] = hessian[j, i] = pair / (2.0 * step * step)
    errors = np.sqrt(np.diag(np.linalg.inv(-hessian))).reshape(group.parameters.shape)[:, 0]
    assert [item.errors.discrimination for item in calibration.items] == pytest.approx(
        errors.tolist(), rel=5e-3
    )


@pytest.mark.parametrize("model", ["1PL", "2PL", "graded"])
def test_given_too_many_items_at_once_then_errors_are_hardly_smaller(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = some_items(model, 14, 2)
    persons = 400 if THOROUGH else 200
    answers = drawn(items, np.random.default_rng(3).normal(size=persons), 4, missing=0.3)
    together = fitted(answers, model, tolerance=1e-4)
    monkeypatch.setattr(information, "TOGETHER", 0)
    each = fitted(answers, model, tolerance=1e-4)
    for item, other in zip(together.items, each.items, strict=True):
        assert 0.75 < other.errors.thresholds[0] / item.errors.thresholds[0] <= 1.0 + 1e-9


def test_given_items_that_say_nothing_then_they_are_finite_with_a_warning() -> None:
    draw = np.random.default_rng(6)
    theta = draw.normal(size=400)
    table = (draw.random((400, 10)) < 1.0 / (1.0 + np.exp(-theta[:, None]))).astype(np.float64)
    table[:, 1], table[:, 2] = 1.0, 0.0
    table[:, 3] = draw.random(400) < 1.0 / (1.0 + np.exp(theta))
    table[10:, 4] = np.nan
    table[np.argsort(table[:, [0, 7, 8, 9]].sum(axis=1)), 5] = np.tile([0.0, 1.0], 200)
    table[:, 6] = np.nan
    calibration = calibrate(data_of_table(table))
    assert np.isfinite(numbers(calibration)).all()
    rasch = calibrate(data_of_table(table), "1PL", learn_priors=True)
    assert np.isfinite(numbers(rasch)).all()
    assert len({item.item.discrimination for item in rasch.items}) == 1
    words = [" ".join(item.warnings) for item in calibration.items]
    assert not any(words[0:1] + words[7:])
    assert "all answers are right" in words[1]
    assert "all answers are wrong" in words[2]
    assert "negative" in words[3]
    assert "only 10 answers" in words[4]
    assert "near 0" in words[5] or "negative" in words[5]
    assert "only 0 answers" in words[6]
    assert calibration.items[1].item.thresholds[0] < 0.0 < calibration.items[2].item.thresholds[0]


def test_given_a_step_never_reached_then_it_is_held_with_a_warning() -> None:
    answers = some_answers("graded", 300, 9)
    score = np.where((answers.item == 2) & (answers.score == 1.0), 2.0 / 3.0, answers.score)
    calibration = fitted(replace(answers, score=score), "graded")
    assert "no answer on step 3" in " ".join(calibration.items[2].warnings)
    assert np.isfinite(numbers(calibration)).all()


def test_given_a_flat_likelihood_then_there_are_no_errors_and_it_says_so() -> None:
    # One item alone says how often it is answered, never how well it discriminates.
    answers = ResponseData(
        np.arange(60), np.zeros(60, dtype=np.int64), np.tile([1.0, 0.0], 30), 60, 1
    )
    (item,) = calibrate(answers).items
    assert np.isnan(item.errors.discrimination)
    assert "no standard error" in " ".join(item.warnings)
    (other,) = calibrate(answers, errors=False).items
    assert "no standard error" not in " ".join(other.warnings)


def test_given_few_answers_and_learnt_priors_then_items_come_nearer_truth() -> None:
    items = some_items("2PL", 40, 12)
    answers = drawn(items, np.random.default_rng(13).normal(size=300), 14, missing=0.5)
    truth = np.array([[item.discrimination, item.thresholds[0]] for item in items])
    alone, together = calibrate(answers), calibrate(answers, learn_priors=True)
    assert together.priors.discrimination is not None
    assert together.priors.difficulty is not None
    rmse = [
        np.sqrt(((numbers(calibration)[:, :2] - truth) ** 2).mean(axis=0))
        for calibration in (alone, together)
    ]
    assert (rmse[1] < rmse[0]).all()


def test_given_hardly_any_answers_and_learnt_priors_then_all_stays_finite() -> None:
    items = some_items("2PL", 150, 22)
    answers = drawn(items, np.random.default_rng(23).normal(size=100), 24, missing=0.93)
    calibration = calibrate(answers, learn_priors=True)
    assert calibration.converged
    assert np.isfinite(numbers(calibration)).all()
    assert (calibration.discrimination > 0.0).all()
    assert np.abs(calibration.difficulty).max() < 5.0


def test_given_too_few_items_to_learn_priors_then_the_given_ones_stay() -> None:
    calibration = calibrate(lsat.answers(lsat.LSAT_7), learn_priors=True, priors=WEAK_PRIORS)
    assert calibration.priors == WEAK_PRIORS


def test_given_many_persons_then_chunks_and_sparse_sums_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = some_answers("2PL", 300, 15, missing=0.3)
    whole = fitted(answers, "2PL")
    monkeypatch.setattr("workers.modelling.calibration.irt.expectation._CHUNK", 70)
    monkeypatch.setattr("workers.modelling.calibration.irt.expectation._DENSE", 2.0)
    parts = fitted(answers, "2PL")
    assert numbers(parts) == pytest.approx(numbers(whole), abs=1e-6)
    assert [item.errors[0] for item in parts.items] == pytest.approx(
        [item.errors[0] for item in whole.items], rel=1e-6
    )


def test_given_rounds_that_do_not_suffice_when_calibrated_then_it_says_so() -> None:
    assert not calibrate(lsat.answers(lsat.LSAT_7), rounds=1, errors=False).converged
