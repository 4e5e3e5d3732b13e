"""Knowledge tracing of many learners at once: mastery before each answer, as in the engine.

Equal to `workers.estimation.answering.apply` to the last bits, as a test shows.
"""

from typing import Final, NamedTuple

import numpy as np

from workers.estimation.bkt import update_many
from workers.estimation.last_step import sums_after
from workers.modelling.calibration.bkt.em import FORGET, GUESS, LEARN, PRIOR, SLIP
from workers.modelling.calibration.chains import Chains, chains_of
from workers.modelling.calibration.paging import column, release
from workers.modelling.calibration.table import Floats, Table

_HUGE: Final = 1_000


class FilteredMastery(NamedTuple):
    """State of the engine before each link's answer, shape (links,) each."""

    mastery: Floats
    """P(known), in [0, 1]."""
    right: Floats
    """Probability of a right answer by knowledge tracing alone, above 0."""
    wrong: Floats
    """Probability of a wrong answer, above 0."""
    recent: Floats
    """Short-term decayed sum, see `workers.estimation.last_step`."""
    lasting: Floats
    """Long-term decayed sum."""


def filter_mastery(table: Table, parameters: Floats) -> FilteredMastery:
    """Run knowledge tracing over all learners of a table.

    Args:
        table: at least one response.
        parameters: prior, learn, guess, slip and forget of each concept, shape (5, concepts).
    """
    columns = column((5, table.link.size), np.float64)
    for group in table.concept_groups:
        chains = chains_of(table, group)
        columns[:, chains.link] = _columns(table, parameters, chains)
        release(columns)
        table.release()
    return FilteredMastery(*columns)


def _columns(table: Table, parameters: Floats, chains: Chains) -> Floats:
    """Compute `FilteredMastery` of the places of chains, shape (5, places)."""
    of_chain = parameters[:, chains.concept]
    prior, learn, guess, slip, forget = of_chain[[PRIOR, LEARN, GUESS, SLIP, FORGET]]
    ratio_right, ratio_wrong = (1.0 - slip) / guess, slip / (1.0 - guess)
    mantissa, exponent = np.frexp(prior / (1.0 - prior))
    exponent = exponent.astype(np.int64)
    sums = np.zeros((2, prior.size))
    score = table.score[chains.row]
    mastery, sums_before = np.empty(score.size), np.empty((2, score.size))
    for places, n in chains.slices():
        odds = np.ldexp(mantissa[:n], np.minimum(exponent[:n], _HUGE))
        mastery[places] = odds / (1.0 + odds)
        sums_before[:, places] = sums[:, :n]
        s = score[places]
        ratio = np.where(s == 1.0, ratio_right[:n], ratio_wrong[:n])
        partial = (s > 0.0) & (s < 1.0)
        if partial.any():
            weighted = ratio_right[:n] ** s * ratio_wrong[:n] ** (1.0 - s)
            ratio = np.where(partial, weighted, ratio)
        mantissa[:n], exponent[:n] = update_many(
            mantissa[:n], exponent[:n], ratio, learn[:n], forget[:n]
        )
        sums[:, :n] = sums_after((sums[0, :n], sums[1, :n]), s)
    concept = chains.concept_of_place
    guess, slip, unknown = parameters[GUESS][concept], parameters[SLIP][concept], 1.0 - mastery
    return np.array(
        [
            mastery,
            mastery * (1.0 - slip) + unknown * guess,
            mastery * slip + unknown * (1.0 - guess),
            *sums_before,
        ]
    )
