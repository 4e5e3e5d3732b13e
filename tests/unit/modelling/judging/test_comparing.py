"""Two versions compared on held-out learners, by prediction and by what mastery means."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.simulated_learners import simulated
from tests.unit.modelling.calibration.test_answers import key_of, parted
from workers.estimation.parameters import BktParameters, Parameters
from workers.modelling.calibration.held_out import is_held_out
from workers.modelling.judging.comparing import JUDGED_SHARE, Comparison, compare
from workers.modelling.judging.predicted import Predicted, predict_held_out, together

_OTHER = Parameters(default=BktParameters(0.4, 0.05, 0.15, 0.05))


def gains(*gains: float) -> Comparison:
    """One right answer of each learner, predicted better by so many nats."""
    n = np.arange(len(gains))
    present, mastery = np.full(n.size, 0.5), np.zeros(n.size)
    new = 0.5 * np.exp(gains)
    return compare(Predicted(n, n, np.ones(n.size), new, present, n, n * 0, mastery, mastery))


def masteries(new: list[list[float]], present: list[list[float]], score: float) -> Comparison:
    """One concept and one row of log-odds for each learner.

    Learners whom `new` declares at the first answer have that score in each answer, the others 1.
    """
    rows, columns = len(new), len(new[0])
    n = np.arange(rows * columns)
    learner = np.repeat(np.arange(rows), columns)
    scores = np.where(np.repeat(np.array(new)[:, 0] > 0.0, columns), score, 1.0)
    return compare(
        Predicted(
            learner,
            n,
            scores,
            np.full(n.size, 0.5),
            np.full(n.size, 0.5),
            n,
            n * 0,
            np.ravel(new),
            np.ravel(present),
        )
    )


def test_given_gains_when_judged_then_only_those_beyond_doubt_are_better() -> None:
    assert gains(0.1, 0.12, 0.08, 0.11).better
    assert not gains(0.3, -0.25, 0.2, -0.1).better
    assert not gains(-0.1, -0.12, -0.08).better
    assert not gains(0.3).better
    assert not gains(0.0, 0.0, 0.0).better
    # Of two learners nothing is certain.
    assert not gains(0.1, 0.3).better


def test_given_one_learner_when_written_then_undefined_figures_are_null() -> None:
    document = gains(0.3).document()
    assert document["standard_error"] is None
    assert document["mastery"]["standard_error"] is None
    assert math.isnan(Comparison.of(document).standard_error)


def test_given_a_certain_prediction_that_fails_then_the_loss_is_finite() -> None:
    log = simulated(12, 3)
    sure = Parameters(default=BktParameters(1.0 - 2.0**-53, 0.0, 0.5, 1e-99))
    answers = parted(log)
    comparison = compare(predict_held_out(answers, (0, answers.learners), sure, Parameters()))
    assert math.isfinite(comparison.gain)
    assert not comparison.better


def test_given_mastery_declared_before_wrong_answers_then_it_is_less_valid() -> None:
    low, high = [-1.0] * 4, [9.0] * 4
    # Each version declares four of ten learners; those that new declares answer wrong.
    comparison = masteries([high] * 4 + [low] * 6, [low] * 6 + [high] * 4, 0.0)
    assert (comparison.validity_gain, comparison.validity_error) == (-1.0, 0.0)
    assert comparison.less_valid
    assert comparison.new_mastery.at_shares[JUDGED_SHARE].right_after == 0.0
    assert comparison.present_mastery.at_shares[JUDGED_SHARE].right_after == 1.0
    assert comparison.new_mastery.at_threshold.share == 0.4


def test_given_the_same_mastery_twice_then_it_is_not_less_valid() -> None:
    rows = [[9.0, 9.0]] * 4 + [[-1.0, -1.0]] * 6
    comparison = masteries(rows, rows, 0.5)
    assert (comparison.validity_gain, comparison.validity_error) == (0.0, 0.0)
    assert not comparison.less_valid


@pytest.mark.parametrize(
    ("gain", "error", "less_valid"),
    [
        (-0.01698, 0.01, False),
        (-0.01700, 0.01, True),
        (0.5, 0.01, False),
        (math.nan, math.nan, False),
        (-0.2, math.nan, False),
    ],
)
def test_given_a_validity_gain_when_judged_then_one_sided_by_learner(
    gain: float, error: float, less_valid: bool
) -> None:
    base = gains(*[0.1] * 30)
    # The t quantile at .95 with 29 degrees of freedom is 1.6991, not the normal 1.6449.
    scaled = Comparison.of(
        {
            **base.document(),
            "mastery": {
                **base.document()["mastery"],
                "validity_gain": None if math.isnan(gain) else gain,
                "standard_error": None if math.isnan(error) else error,
            },
        }
    )
    assert scaled.less_valid is less_valid


@given(st.integers(0, 40), st.integers(6, 14))
def test_given_spans_when_joined_then_as_one_span_and_json_keeps_all(
    seed: int, learners: int
) -> None:
    logs = simulated(learners, seed, several=True)
    held = sum(is_held_out(key_of(n)) for n in range(learners))
    answers = parted(logs)
    whole = (0, learners)
    if held == 0:
        return
    predicted = predict_held_out(answers, whole, _OTHER, Parameters())
    middles = [n for n in range(learners) if is_held_out(key_of(n))]
    parts = [predict_held_out(answers, (n, n + 1), _OTHER, Parameters()) for n in middles]
    for column, other in zip(predicted, together(parts), strict=True):
        assert (column == other).all()
    assert predicted.linked_answer.size == predicted.new_mastery.size >= predicted.score.size
    compared = compare(predicted)
    assert compared.learners == held
    document = json.loads(json.dumps(compared.document(), allow_nan=False))
    assert Comparison.of(document).document() == compared.document()
    if held > 1:
        assert math.isfinite(compared.gain)
        assert math.isfinite(compared.standard_error)
