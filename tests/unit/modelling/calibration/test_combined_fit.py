"""The recipe `bkt-irt`: sees what the engine sees, and stays finite whatever comes."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.examples import THOROUGH
from tests.support.factories import answer
from tests.support.simulated_learners import simulated
from workers.estimation.answering import apply
from workers.estimation.documents import parameters_document, parameters_of
from workers.estimation.items import ItemParameters
from workers.estimation.last_step import FEATURES, features
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import ConceptParameters, Parameters
from workers.estimation.predicting import predict_log
from workers.estimation.scales import ConceptOffset, ScaleParameters
from workers.modelling.calibration.ability.filter import AbilityModel
from workers.modelling.calibration.ability.fit import fit_ability
from workers.modelling.calibration.bkt.mastery import bkt_of, fit_mastery, over_all
from workers.modelling.calibration.combined.engine_parameters import weights_of
from workers.modelling.calibration.combined.fit import (
    PartFit,
    feature_sources,
    fit_combined,
    fit_without_part,
    part_count,
)
from workers.modelling.calibration.combined.last_step_fit import fit_last_step
from workers.modelling.calibration.combined.mastery_filter import filter_mastery
from workers.modelling.calibration.combined.recipe import combined_from_parts
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.fitting import fit
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.calibration.packing import packed_fit
from workers.modelling.calibration.table import Floats, Table

Logs = list[list[Response]]


def credited(logs: Logs, seed: int = 5) -> Logs:
    """Each fourth answer gets partial credit, and some share their moment."""
    draw = np.random.default_rng(seed)
    return [
        [
            response._replace(
                score=round(float(draw.random()), 2) if draw.random() < 0.25 else response.score,
                answered_at_us=response.answered_at_us - response.answered_at_us % 2_000_000,
            )
            for response in log
        ]
        for log in logs
    ]


def drawn(table: Table, seed: int) -> tuple[AbilityModel, Floats, Floats]:
    """Ability, mastery and weights of a last step, whatever they be."""
    draw = np.random.default_rng(seed)
    concepts, items = len(table.concepts), len(table.items)
    model = AbilityModel(
        0.3,
        0.8,
        0.01,
        draw.uniform(0.1, 0.6, concepts),
        draw.uniform(0.0, 0.05, concepts),
        draw.normal(0.05, 0.05, concepts),
        0.9,
        draw.normal(0.0, 1.0, items),
        draw.uniform(0.5, 2.0, items),
    )
    low, high = [[0.1], [0.0], [0.1], [0.05], [0.0]], [[0.7], [0.3], [0.4], [0.3], [0.05]]
    return model, draw.uniform(low, high, (5, concepts)), draw.normal(0.2, 0.3, (concepts, 11))


def engine_of(table: Table, model: AbilityModel, mastery: Floats, weights: Floats) -> Parameters:
    return Parameters(
        concepts={
            name: ConceptParameters(
                bkt_of(mastery[:, at]),
                concept_offset=ConceptOffset(
                    model.offset_variance[at], model.offset_walk[at], model.drift[at], model.ratio
                ),
                prediction=weights_of(weights[at]),
            )
            for at, name in enumerate(table.concepts)
        },
        items={
            name: ItemParameters(model.difficulty[at], model.discrimination[at])
            for at, name in enumerate(table.items)
        },
        any_scale=ScaleParameters(
            model.mean, model.variance, model.walk, prediction=weights_of(weights.mean(axis=0))
        ),
    )


@pytest.mark.parametrize("several", [False, True])
def test_given_any_parameters_then_features_predict_as_the_engine(*, several: bool) -> None:
    logs = credited(simulated(40, 1, concepts=4, several=several))
    table, places = table_of(logs)
    assert table.single is not several
    model, mastery, weights = drawn(table, 3)
    design = features(feature_sources(table, model, mastery).of(slice(None)))
    assert design.shape == (table.link.size, len(FEATURES))
    eta = (design * weights[table.concept]).sum(axis=1)
    logit = np.bincount(table.link, eta * table.share)
    predicted = 1.0 / (1.0 + np.exp(-logit))
    parameters = engine_of(table, model, mastery, weights)
    for learner, place in enumerate(places):
        told = predict_log(logs[place], parameters).expected
        assert predicted[table.learner == learner] == pytest.approx(told, abs=1e-12)


def test_given_any_parameters_then_mastery_is_walked_as_the_engine_does() -> None:
    logs = credited(simulated(30, 2, concepts=3, several=True))
    table, places = table_of(logs)
    model, mastery, weights = drawn(table, 4)
    held = filter_mastery(table, mastery)
    parameters = engine_of(table, model, mastery, weights)
    for number, place in enumerate(places):
        learner, wanted = Learner(), []
        for response in logs[place]:
            for name in response.concept_ids:
                bkt, state = parameters.of_concept(name), learner.concepts.get(name)
                known = bkt.prior if state is None else state.mastery
                right = known * (1.0 - bkt.slip) + (1.0 - known) * bkt.guess
                sums = (0.0, 0.0) if state is None else (state.recent, state.lasting)
                wanted.append([known, right, 1.0 - right, *sums])
            apply(learner, response, parameters)
        here = table.learner[table.link] == number
        assert np.array(held).T[here] == pytest.approx(np.array(wanted), abs=1e-12)


def scored_by(table: Table, common: Floats, own: Floats) -> tuple[Table, Floats]:
    """The table with scores drawn from a last step over some design, and the design."""
    draw = np.random.default_rng(11)
    design = np.zeros((table.link.size, len(FEATURES)))
    design[:, 0] = 1.0
    design[:, 1:3] = draw.normal(0.0, 1.0, (table.link.size, 2))
    eta = (design * (common + own[table.concept])).sum(axis=1)
    logit = np.bincount(table.link, eta * table.share)
    score = (draw.random(logit.size) < 1.0 / (1.0 + np.exp(-logit))).astype(np.float64)
    return replace(table, score=score), design


def test_given_a_rare_concept_then_it_has_nearly_the_common_weights() -> None:
    logs = [
        *simulated(900, 3, concepts=3),
        [answer(k, concepts=["rare"], item="rare") for k in range(4)],
    ]
    table, _ = table_of(logs)
    rare = table.concepts.index("rare")
    common, own = np.zeros(len(FEATURES)), np.zeros((4, len(FEATURES)))
    common[:3] = 0.3, 0.9, 0.5
    apart = [at for at in range(4) if at != rare]
    own[apart, 0], own[apart, 1] = (0.8, -0.8, 0.0), (0.5, 0.0, -0.5)
    told, design = scored_by(table, common, own)
    fitted = fit_last_step(told, design)
    assert fitted.converged
    off = np.abs(fitted.own - fitted.common)
    assert off[apart, 0].max() > 0.5
    assert off[rare].max() < 0.35 * off[apart].max()
    assert fitted.own[apart] == pytest.approx((common + own)[apart], abs=0.2)
    assert fitted.logit.shape == table.score.shape
    # Features that never vary get no weight of their own.
    assert fitted.common[3:] == pytest.approx(np.zeros(len(FEATURES) - 3))


def test_given_hardly_an_answer_then_the_last_step_is_ability() -> None:
    table, _ = table_of([[answer(0)]])
    model, mastery, _ = drawn(table, 1)
    fitted = fit_last_step(table, features(feature_sources(table, model, mastery).of(slice(None))))
    usual = np.array([float(name == "ability") for name in FEATURES])
    assert np.abs(fitted.common - usual).max() < 0.6
    assert np.isfinite(fitted.own).all()


def test_given_several_concepts_then_the_fit_takes_their_mean_logit() -> None:
    table, _ = table_of(simulated(900, 5, concepts=3, several=True))
    common, own = np.zeros(len(FEATURES)), np.zeros((3, len(FEATURES)))
    common[:3] = -0.2, 1.1, 0.4
    own[:, 0] = 0.6, 0.0, -0.6
    told, design = scored_by(table, common, own)
    fitted = fit_last_step(told, design)
    assert fitted.own == pytest.approx(common + own, abs=0.25)


@pytest.mark.parametrize(
    ("learners", "parts"), [(0, 8), (1, 8), (250, 8), (500, 4), (700, 3), (1_000, 2), (90_000, 2)]
)
def test_given_few_learners_then_each_part_leaves_out_fewer(learners: int, parts: int) -> None:
    assert part_count(learners) == parts


@pytest.mark.usefixtures("few_parts")
def test_given_parts_then_each_learner_is_predicted_by_a_fit_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, _ = table_of(simulated(30, 6, most=24 if THOROUGH else 8))
    ability, mastery = fit_ability(table), fit_mastery(table)
    number = part_count(table.learners)
    parts = [fit_without_part(table, ability, part) for part in range(number)]
    seen: list[tuple[Table, Any]] = []

    def noted(of: Table, model: AbilityModel, own: Floats) -> Any:
        seen.append((of, own))
        return feature_sources(of, model, own)

    monkeypatch.setattr("workers.modelling.calibration.combined.fit.feature_sources", noted)
    fit_combined(table, ability, mastery, parts)
    assert sum(of.learners for of, _ in seen) == table.learners
    assert len(seen) == number
    for (of, own), part in zip(seen, parts, strict=True):
        assert part is not None
        assert own is part.mastery
        # Items that others answered too, seldom: what was fitted on them lacks this part's answers.
        others = table.responses_of_item - of.responses_of_item
        assert (part.ability.items.seen == (others > 0)).all()


def test_given_one_learner_then_no_part_has_others() -> None:
    table, _ = table_of(simulated(1, 3))
    ability = fit_ability(table)
    parts = [fit_without_part(table, ability, part) for part in range(part_count(1))]
    assert parts.count(None) == 1
    assert sum(isinstance(part, PartFit) for part in parts) == len(parts) - 1


def test_given_a_concept_without_answers_then_it_has_the_others_mean() -> None:
    table, _ = table_of(simulated(20, 3, concepts=3))
    without = replace(table, concept=np.where(table.concept == 2, 1, table.concept))
    parameters = np.arange(15.0).reshape(5, 3)
    filled = over_all(without, parameters)
    assert filled[:, :2].tolist() == parameters[:, :2].tolist()
    assert filled[:, 2] == pytest.approx(parameters[:, :2].mean(axis=1))


LENGTH = 15 if THOROUGH else 5
DEGENERATE: dict[str, Logs] = {
    "all right": [[answer(k, score=1.0) for k in range(LENGTH)] for _ in range(8)],
    "all wrong": [[answer(k, score=0.0) for k in range(LENGTH)] for _ in range(8)],
    "one learner": simulated(1, 8, most=20 if THOROUGH else 8),
    "one learner, all right": [[answer(k) for k in range(2 * LENGTH)]],
    "5 answers": [[answer(k, score=float(k % 2)) for k in range(3)], [answer(9), answer(10)]],
    "one concept": simulated(20, 4, concepts=1, most=24 if THOROUGH else 8),
    "half credit": [[answer(k, score=0.5) for k in range(6 if THOROUGH else 3)] for _ in range(5)],
    "one moment": [[answer(k, at=0, score=float(k % 3 > 0)) for k in range(9)] for _ in range(5)],
}


@pytest.mark.usefixtures("few_parts")
@pytest.mark.parametrize("data", list(DEGENERATE))
def test_given_degenerate_data_then_the_fit_is_finite_and_the_same_again(data: str) -> None:
    logs = DEGENERATE[data]
    fitted = fit("bkt-irt", logs)
    if THOROUGH or data in {"one learner", "all right"}:
        assert packed_fit(fit("bkt-irt", logs)) == packed_fit(fitted)
    assert parameters_of(parameters_document(fitted.parameters)) == fitted.parameters
    assert all(map(math.isfinite, fitted.log_likelihood.values()))
    learner = Learner()
    asked = [*logs[0], answer(10_000, concepts=["new"], item="new")]
    for response in asked:
        told = apply(learner, response, fitted.parameters)
        assert 0.0 < told.probability_correct < 1.0
        assert all(0.0 < chance < 1.0 for chance in told.concepts)
    right = sum(answer.score for log in logs for answer in log) / sum(map(len, logs))
    told = apply(Learner(), logs[0][0], fitted.parameters)
    assert (told.probability_correct > 0.5) is (right > 0.5) or 0.2 < right < 0.8


@pytest.mark.usefixtures("few_parts")
def test_given_many_fits_side_by_side_then_combined_by_gives_the_fit() -> None:
    logs = simulated(40, 9, concepts=3, most=24 if THOROUGH else 8, several=True)
    table, _ = table_of(logs)
    ability = fit_ability(table)
    parts = [fit_without_part(table, ability, part) for part in range(part_count(table.learners))]
    told: Fitted = combined_from_parts(table, ability, parts)
    assert packed_fit(told) == packed_fit(fit("bkt-irt", logs))
    scale = told.parameters.any_scale
    assert scale is not None
    assert scale.prediction is not None
    assert not scale.predicts
    assert all(concept.prediction is not None for concept in told.parameters.concepts.values())
