"""The least that a calibration needs."""

from typing import Final

import numpy as np

from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.steps import FEWEST, answers_to_fit

FEWEST_LEARNERS: Final = 10
"""Learners below which a fit would tell of these learners and not of concepts and items."""
FEWEST_HELD_OUT: Final = 2
"""Held-out learners below which a gain has no standard error."""


def shortage(answers: Answers) -> str | None:
    """Say what a calibration lacks.

    The scale with most answers has to have at least `steps.FEWEST` answers of at least
    `FEWEST_LEARNERS` learners that may be fitted to; at least `FEWEST_HELD_OUT` held-out learners
    have to have answers.

    Returns:
        A sentence that names what there is, what is needed and the remedy, and no scale, for that
        may be another tenant's; None if there is enough.
    """
    counts = answers_to_fit(answers)
    most = max(counts, default=0)
    learner = np.repeat(np.arange(answers.learners), np.diff(answers.begin))
    held = answers.held_out[learner]
    held_out = np.unique(learner[held]).size
    learners = 0
    if most:
        on_scale = (answers.scale == counts.index(most)) & ~held
        learners = np.unique(learner[on_scale]).size
    if most >= FEWEST and learners >= FEWEST_LEARNERS and held_out >= FEWEST_HELD_OUT:
        return None
    return (
        f"there is too little to calibrate by: on the scale with most answers {most:,} answers of "
        f"{learners:,} learners may be fitted to, and {FEWEST} answers of {FEWEST_LEARNERS} "
        f"learners are needed; {held_out:,} learners are held out for comparison, and "
        f"{FEWEST_HELD_OUT} are needed: let more learners practise first"
    )
