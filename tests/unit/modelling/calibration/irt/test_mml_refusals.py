"""Calibration refuses answers, arguments and priors that do not fit, and names the fault."""

import numpy as np
import pytest

from workers.modelling.calibration.irt.mml import calibrate
from workers.modelling.calibration.irt.priors import Priors
from workers.modelling.calibration.irt.response_data import Floats, ResponseData


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"person": np.array([0, 2])}, "person must lie in 0 to 1"),
        ({"item": np.array([0, -1])}, "item must lie in 0 to 0, not -1"),
        ({"score": np.array([0.0, 1.1])}, "score must lie in"),
        ({"score": np.array([0.0, np.nan])}, "score must lie in"),
        ({"score": np.array([0.0])}, "one length"),
        ({"weight": np.array([1.0])}, "weight must be"),
        ({"weight": np.array([1.0, 0.0])}, "weight must be"),
    ],
)
def test_given_invalid_answers_when_made_then_the_error_names_the_column(
    change: dict[str, Floats], words: str
) -> None:
    columns: dict[str, object] = {
        "person": np.array([0, 1]),
        "item": np.array([0, 0]),
        "score": np.array([0.0, 1.0]),
        "persons": 2,
        "items": 1,
    }
    with pytest.raises(ValueError, match=words):
        ResponseData(**{**columns, **change})  # type: ignore[arg-type]


def test_given_mismatched_arguments_then_the_error_says_which() -> None:
    answers = ResponseData(np.array([0]), np.array([0]), np.array([1.0]), 1, 1)
    nobody = ResponseData(
        np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0), 1, 1
    )
    with pytest.raises(ValueError, match="at least one"):
        calibrate(nobody)
    with pytest.raises(ValueError, match="model must be one of 1PL"):
        calibrate(answers, ["2PL", "2PL"])
    with pytest.raises(ValueError, match="model must be one of 1PL"):
        calibrate(answers, ["5PL"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="steps must be 1 or more"):
        calibrate(answers, "graded", steps=[0])


@pytest.mark.parametrize(
    ("priors", "words"),
    [
        ({"discrimination": (0.0, 0.0)}, "discrimination must be"),
        ({"difficulty": (float("nan"), 1.0)}, "difficulty must be"),
        ({"lower": (0.5, 2.0)}, "lower must be"),
        ({"slip": (2.0, float("inf"))}, "slip must be"),
    ],
)
def test_given_priors_that_are_none_when_made_then_the_error_names_them(
    priors: dict[str, tuple[float, float]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Priors(**priors)
