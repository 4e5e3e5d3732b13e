"""Drift, in simulation: seldom told of where there is none, soon where there is some."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.examples import THOROUGH
from workers.metrics.drift.detector import DriftDetector, Limits
from workers.metrics.drift.monitor import CONCEPTS, SIZE_OF_CONCEPT
from workers.metrics.drift.windows import Misfits, Windows

Floats = NDArray[np.float64]
Truth = Callable[[Floats], Floats]


class Trial:
    """Many windows at once, each of which a stream of answers of its own goes through.

    Args:
        windows: how many.
        size: of each, in answers.
        limits: of each.
        seed: of the answers.
    """

    def __init__(self, windows: int, size: int, limits: Limits, seed: int) -> None:
        self._count = windows
        self._windows = Windows([size] * windows)
        self._watch = DriftDetector([limits] * windows)
        self._draw = np.random.default_rng(seed)
        self.began = {"bias": [0] * windows, "excess": [0] * windows}
        self.ended = 0

    def run(self, steps: int, answers: int, truth: Truth, predicted: float | None = None) -> None:
        """So many times so many answers of each window, which happen as the truth says.

        Predictions are spread, unless all of them are one.
        """
        rows = np.repeat(np.arange(self._count), answers)
        for _ in range(steps):
            if predicted is None:
                told = 1.0 / (1.0 + np.exp(-self._draw.normal(0.5, 1.2, rows.size)))
            else:
                told = np.full(rows.size, predicted)
            happened = (self._draw.random(rows.size) < truth(told)).astype(np.float64)
            self._windows.add(rows, happened, told)
            for change in self._watch.look(self._windows.misfits()):
                if change.began:
                    self.began[change.kind][change.window] += 1
                else:
                    self.ended += 1


def as_told(told: Floats) -> Floats:
    return told


def shifted(by: float) -> Truth:
    return lambda told: np.clip(told + by, 0.0, 1.0)


def flattened(to: float) -> Truth:
    """Less depends on the prediction than it says: it is too bold."""
    return lambda told: 1.0 / (1.0 + ((1.0 - told) / told) ** to)


def test_given_predictions_that_come_true_for_long_then_nothing_is_told() -> None:
    trial = Trial(50, 2_000, Limits().of_many(50), seed=1)
    trial.run(200 if THOROUGH else 60, 200, as_told)
    assert (sum(trial.began["bias"]), sum(trial.began["excess"])) == (0, 0)


def test_given_a_misfit_at_the_edge_then_it_is_told_as_seldom_as_promised() -> None:
    size, alarm, windows, answers = 100, 3.0, 200, 10
    steps = 1_500 if THOROUGH else 300
    limits = Limits(alarm, bias=0.02, excess=math.inf, evidence=5.0)
    trial = Trial(windows, size, limits, seed=2)
    trial.run(steps, answers, lambda told: np.clip(told, 0.02, 0.98) + 0.02)
    promised = (
        windows
        * steps
        * answers
        / (size * math.sqrt(2.0 * math.pi) * math.exp(alarm**2 / 2.0) / alarm)
    )
    # It looks every ten answers only, so it misses the shortest crossings.
    assert 0.2 * promised < sum(trial.began["bias"]) < 1.1 * promised


@pytest.mark.parametrize(
    ("truth", "kind"),
    [
        (shifted(-0.12), "bias"),
        (shifted(0.12), "bias"),
        (flattened(0.5), "excess"),
        (flattened(2.0), "excess"),
    ],
)
def test_given_a_drift_of_a_concept_then_start_and_end_are_reported_once(
    truth: Truth, kind: str
) -> None:
    windows = 40 if THOROUGH else 15
    trial = Trial(windows, 2_000, Limits().of_many(50), seed=3)
    trial.run(20, 200, as_told)
    assert sum(trial.began[kind]) == 0
    trial.run(10, 200, truth)
    assert sum(count == 1 for count in trial.began[kind]) >= 0.95 * windows
    trial.run(30, 200, truth)
    assert trial.began[kind] == [1] * windows
    assert trial.ended == 0
    trial.run(60, 200, as_told)
    # Back at what is told; every window that began has ended.
    assert trial.ended == sum(map(sum, trial.began.values()))


@pytest.mark.parametrize("predicted", [0.02, 0.97, 0.98])
def test_given_a_concept_of_near_constant_predictions_then_drift_is_told(
    predicted: float,
) -> None:
    windows = 50 if THOROUGH else 20
    trial = Trial(windows, SIZE_OF_CONCEPT, Limits().of_many(CONCEPTS), seed=5)
    trial.run(60, 200, as_told, predicted)
    assert (sum(trial.began["bias"]), sum(trial.began["excess"])) == (0, 0)
    trial.run(10, 200, shifted(0.15 if predicted < 0.5 else -0.15), predicted)
    assert trial.began["bias"] == [1] * windows


def test_given_a_drift_overall_then_four_points_are_seen_within_a_window() -> None:
    trial = Trial(20, 10_000, Limits(), seed=4)
    trial.run(10, 1_000, as_told)
    trial.run(20, 1_000, shifted(0.05))
    assert trial.began["bias"] == [1] * 20


def test_given_many_windows_then_the_limit_of_each_is_higher_by_bonferroni() -> None:
    limits = Limits()
    assert limits.of_many(1).alarm == pytest.approx(limits.alarm)
    many = limits.of_many(50)
    assert many.alarm == pytest.approx(5.27, abs=0.01)
    assert (many.bias, many.excess, many.evidence) == (limits.bias, limits.excess, limits.evidence)


def misfits(bias: float, variance: float, answers: float = 100.0) -> Misfits:
    def column(value: float) -> Floats:
        return np.array([value])

    return Misfits(column(answers), column(bias), column(0.0), column(variance), column(0.0))


def test_given_too_little_evidence_then_reports_stay_as_they_are() -> None:
    watch = DriftDetector([Limits(alarm=2.0, evidence=10.0)])
    assert watch.look(misfits(30.0, 9.9)) == []
    assert math.isnan(watch.misfit(0, 0).over)
    (began,) = watch.look(misfits(30.0, 10.0))
    assert (began.window, began.kind, began.began) == (0, "bias", True)
    assert began.misfit.mean == pytest.approx(0.3)
    assert began.misfit.over == pytest.approx((30.0 - 2.0) / math.sqrt(10.0))
    assert watch.drifting(0, 0)
    assert not watch.drifting(1, 0)
    assert watch.look(misfits(0.0, 1.0)) == []
    assert watch.drifting(0, 0)
    watch.clear(0)
    assert not watch.drifting(0, 0)


def test_given_a_misfit_between_tolerance_and_limit_then_the_report_stands() -> None:
    watch = DriftDetector([Limits(alarm=2.0, evidence=10.0)])
    assert watch.look(misfits(-30.0, 10.0))[0].began
    assert watch.look(misfits(-2.5, 10.0)) == []
    (over,) = watch.look(misfits(-1.9, 10.0))
    assert not over.began
    assert watch.look(misfits(-2.5, 10.0)) == []
