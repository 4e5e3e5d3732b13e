"""Calibration against published estimates: LSAT-6 and LSAT-7, two-parameter, no priors."""

import numpy as np
import pytest

from tests.support import lsat
from workers.modelling.calibration.irt.mml import calibrate

# R package ltm, example of `ltm` (LSAT ~ z1), whose quasi-Newton stops at a gradient of 0.024.
LSAT_6_DIFFICULTY = (-3.3597, -1.3696, -0.2799, -1.8659, -3.1236)
LSAT_6_DISCRIMINATION = (0.8254, 0.7229, 0.8905, 0.6886, 0.6575)
LSAT_6_ERRORS_OF_DIFFICULTY = (0.8669, 0.3073, 0.0997, 0.4341, 0.8700)
LSAT_6_ERRORS_OF_DISCRIMINATION = (0.2581, 0.1867, 0.2326, 0.1852, 0.2100)
# R package mirt 1.47.5, reference page of `LSAT7`: a1 and d, converged to 1e-4.
LSAT_7_SLOPE = (0.988, 1.081, 1.706, 0.765, 0.736)
LSAT_7_INTERCEPT = (1.856, 0.808, 1.804, 0.486, 1.855)


def test_given_lsat_6_then_estimates_and_errors_are_those_of_ltm() -> None:
    calibration = calibrate(lsat.answers(lsat.LSAT_6), "2PL", tolerance=1e-7)
    assert calibration.converged
    assert calibration.log_likelihood == pytest.approx(-2466.653, abs=5e-4)
    assert calibration.discrimination == pytest.approx(np.array(LSAT_6_DISCRIMINATION), rel=1e-3)
    assert calibration.difficulty == pytest.approx(np.array(LSAT_6_DIFFICULTY), rel=1e-3)
    a = [item.errors.discrimination for item in calibration.items]
    b = [item.errors.thresholds[0] for item in calibration.items]
    assert a == pytest.approx(LSAT_6_ERRORS_OF_DISCRIMINATION, rel=5e-3)
    assert b == pytest.approx(LSAT_6_ERRORS_OF_DIFFICULTY, rel=5e-3)


def test_given_lsat_7_when_calibrated_then_the_estimates_are_those_of_mirt() -> None:
    calibration = calibrate(lsat.answers(lsat.LSAT_7), "2PL", tolerance=1e-7)
    assert calibration.log_likelihood == pytest.approx(-2658.805, abs=5e-4)
    assert calibration.discrimination == pytest.approx(np.array(LSAT_7_SLOPE), abs=2e-3)
    intercept = -calibration.discrimination * calibration.difficulty
    assert intercept == pytest.approx(np.array(LSAT_7_INTERCEPT), abs=2e-3)


def test_given_one_slope_on_lsat_6_then_it_is_that_of_thissen() -> None:
    # Thissen (1982), Psychometrika 47, 175-186; ltm's `rasch` gives 0.7551 and these.
    calibration = calibrate(lsat.answers(lsat.LSAT_6), "1PL", tolerance=1e-7)
    assert calibration.log_likelihood == pytest.approx(-2466.938, abs=5e-4)
    assert calibration.discrimination == pytest.approx(np.full(5, 0.7551), abs=5e-4)
    assert calibration.difficulty == pytest.approx(
        np.array([-3.6153, -1.3224, -0.3176, -1.7301, -2.7802]), abs=2e-3
    )
    assert calibration.items[0].errors.discrimination == pytest.approx(0.0694, abs=5e-4)
    assert len({item.errors.discrimination for item in calibration.items}) == 1
