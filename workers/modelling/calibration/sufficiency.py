"""Check that there are enough answers for a calibration."""

from typing import Final

from workers.modelling.calibration.facts import Facts
from workers.modelling.calibration.steps import FEWEST

FEWEST_LEARNERS: Final = 10
"""Number of learners below which a fit would describe the learners, not concepts and items."""
FEWEST_HELD_OUT: Final = 2
"""Number of held-out learners below which a gain has no standard error."""


def shortage(facts: Facts) -> str | None:
    """Describe what a calibration lacks.

    The scale with most answers needs at least `steps.FEWEST` answers of at least `FEWEST_LEARNERS`
    learners that are not held out. At least `FEWEST_HELD_OUT` held-out learners need answers.

    Returns:
        A sentence with the counts, the needed counts and the remedy; None if there is enough. It
        names no scale, which may belong to another tenant.
    """
    counts, held_out = facts.answers_to_fit, facts.held_out
    most = max(counts, default=0)
    learners = facts.learners_to_fit[counts.index(most)] if most else 0
    if most >= FEWEST and learners >= FEWEST_LEARNERS and held_out >= FEWEST_HELD_OUT:
        return None
    return (
        f"too few answers to calibrate: on the scale with most answers {most:,} answers of "
        f"{learners:,} learners may be fitted to, and {FEWEST} answers of {FEWEST_LEARNERS} "
        f"learners are needed; {held_out:,} learners are held out for comparison, and "
        f"{FEWEST_HELD_OUT} are needed. Let more learners practise first"
    )
