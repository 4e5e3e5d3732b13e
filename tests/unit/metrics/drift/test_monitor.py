"""Watching a worker's predictions: what counts where, and what is told."""

import math
from collections.abc import Iterable

import numpy as np
import pytest

from tests.support.drift_reports import stream, told
from workers.estimation.learner import Outcome, Response
from workers.estimation.metrics import brier, ece, log_loss
from workers.metrics.drift import monitor as watching
from workers.metrics.drift.histories import LABELS, group_of
from workers.metrics.drift.monitor import CONCEPTS, OTHERS, Drift, PredictionMonitor


def observe(
    watch: PredictionMonitor, some: Iterable[tuple[Response, Outcome]], by: int = 7
) -> None:
    pairs = list(some)
    for start in range(0, len(pairs), by):
        part = pairs[start : start + by]
        watch.observe([response for response, _ in part], [outcome for _, outcome in part])


def test_given_responses_then_each_counts_overall_by_concept_and_history() -> None:
    pairs = stream(2_500, seed=1)
    watch = PredictionMonitor()
    observe(watch, pairs)

    figures = watch.figures()

    assert figures.parameters_version == 1
    weights = (1 - 1 / watching.SIZE) ** np.arange(2_500)[::-1]
    score = np.array([response.score for response, _ in pairs])
    probability = np.array([outcome.probability_correct for _, outcome in pairs])
    expected = (weights * (score - probability) ** 2).sum() / weights.sum()
    assert figures.whole.answers == pytest.approx(weights.sum())
    assert figures.whole.brier == pytest.approx(expected)
    assert list(figures.histories) == list(LABELS)
    for label, attempts in zip(LABELS, (1, 3, 8, 15, 30, 80), strict=True):
        mine = [
            k for k, (_, outcome) in enumerate(pairs) if outcome.concepts[0].attempts == attempts
        ]
        assert figures.histories[label].brier == pytest.approx(
            brier(score[mine], probability[mine]), abs=2e-3
        )
        assert figures.histories[label].answers == pytest.approx(len(mine), rel=0.05)
    assert set(figures.concepts) == {"c0", "c1", "c2", OTHERS}
    for name in ("c0", "c1", "c2"):
        mine = [k for k, (response, _) in enumerate(pairs) if name in response.concept_ids]
        weights = (1 - 1 / watching.SIZE_OF_CONCEPT) ** np.arange(len(mine))[::-1]
        gap = (weights * (score[mine] - probability[mine]) ** 2).sum() / weights.sum()
        assert figures.concepts[name].brier == pytest.approx(gap)
    assert figures.concepts[OTHERS].answers == 0
    assert figures.drifts == {"bias": False, "excess": False}


def test_given_little_then_it_is_what_the_plain_measures_say() -> None:
    pairs = stream(40, seed=2)
    watch = PredictionMonitor()
    observe(watch, pairs)
    score = np.array([response.score for response, _ in pairs])
    probability = np.array([outcome.probability_correct for _, outcome in pairs])

    whole = watch.figures().whole

    assert whole.log_loss == pytest.approx(log_loss(score, probability), rel=2e-3)
    assert whole.ece == pytest.approx(ece(score, probability), rel=2e-2)


def test_given_nothing_then_there_are_no_figures() -> None:
    watch = PredictionMonitor()
    watch.observe([], [])
    figures = watch.figures()
    assert figures.parameters_version == 0
    assert figures.whole.answers == 0
    assert math.isnan(figures.whole.auc)
    assert math.isnan(figures.misfits["bias"].over)


def test_given_more_concepts_than_places_then_the_rest_are_others() -> None:
    names = [f"c{k}" for k in range(CONCEPTS)]
    watch = PredictionMonitor()
    observe(watch, [told(0.7, 1.0, [name]) for name in [*names, *names, "rare", OTHERS, "rare"]])
    figures = watch.figures()
    assert set(figures.concepts) == {*names, OTHERS}
    assert figures.concepts[OTHERS].answers == pytest.approx(3, rel=1e-3)


def test_given_a_concept_that_becomes_frequent_then_it_takes_a_place_anew() -> None:
    names = [f"c{k}" for k in range(CONCEPTS)]
    watch = PredictionMonitor()
    observe(watch, [told(0.7, 1.0, [name]) for name in [*names, *names[1:]]])
    watch.figures()
    observe(watch, [told(0.7, 0.0, ["new"])] * 103)
    figures = watch.figures()
    assert "c0" not in figures.concepts
    assert figures.concepts["new"].brier == pytest.approx(0.49)
    assert figures.concepts["new"].answers == pytest.approx(103, rel=0.1)


def test_given_a_drift_of_one_concept_then_that_one_is_told_once() -> None:
    heard: list[Drift] = []
    watch = PredictionMonitor(heard.append)
    observe(watch, stream(3_000, seed=3, concepts=20))
    observe(watch, (told(0.5, float(k % 10 == 0), ["c7"]) for k in range(600)), by=50)
    watch.figures()
    observe(watch, (told(0.5, float(k % 10 == 0), ["c7"]) for k in range(600)), by=50)
    figures = watch.figures()

    (drift_of_concept,) = [drift for drift in heard if drift.concept_id is not None]
    assert (
        drift_of_concept.concept_id,
        drift_of_concept.kind,
        drift_of_concept.began,
        drift_of_concept.parameters_version,
    ) == ("c7", "bias", True, 1)
    assert drift_of_concept.misfit.mean < -0.2
    assert drift_of_concept.answers > 500
    assert figures.drifting == {"bias": 1, "excess": 0}
    assert figures.drifts["bias"]
    assert [drift.concept_id for drift in heard].count(None) == 1


def test_given_other_parameters_then_the_window_begins_anew() -> None:
    heard: list[Drift] = []
    watch = PredictionMonitor(heard.append)
    observe(watch, stream(3_000, seed=4, shift=0.15))
    assert watch.figures().drifts["bias"]
    assert watch.figures().drifting["bias"] == 3
    observe(watch, stream(500, seed=5, version=2))
    figures = watch.figures()
    assert figures.parameters_version == 2
    assert figures.whole.answers == pytest.approx(500, rel=0.03)
    assert (figures.drifts["bias"], figures.drifting["bias"]) == (False, 0)
    observe(watch, stream(10, seed=6, version=1))
    assert watch.figures().whole.answers == pytest.approx(10, rel=0.01)


def test_given_no_look_at_the_figures_then_what_is_kept_is_bounded() -> None:
    watch = PredictionMonitor()
    pairs = stream(300, seed=7)
    for _ in range(20):
        observe(watch, pairs, by=100)
        assert len(watch._buffer) < 4_096 + 100


def test_given_attempts_then_their_groups_are_of_earlier_answers() -> None:
    attempts = np.array([1, 2, 5, 6, 10, 11, 20, 21, 50, 51, 10_000])
    assert [LABELS[k] for k in group_of(attempts)] == [
        "0",
        "1-4",
        "1-4",
        "5-9",
        "5-9",
        "10-19",
        "10-19",
        "20-49",
        "20-49",
        "50+",
        "50+",
    ]
