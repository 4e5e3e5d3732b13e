"""Fit the last step of the default recipe over mastery and ability.

The last step is fitted to predictions for learners that mastery and ability were not fitted to
(cross-fitting). On their own learners items explain too much, and weights fitted on them would
trust ability more than it deserves for a new learner.

Source: Wolpert (1992), "Stacked generalization", Neural Networks 5, 241-259.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from workers.estimation.last_step import FEATURES, FeatureSources, features
from workers.modelling.calibration.ability.filter import AbilityModel, logits, run_filter
from workers.modelling.calibration.ability.fit import AbilityFit, fit_ability, on_table
from workers.modelling.calibration.bkt.mastery import fit_mastery
from workers.modelling.calibration.combined.last_step_fit import LastStepFit, fit_last_step
from workers.modelling.calibration.combined.mastery_filter import FilteredMastery, filter_mastery
from workers.modelling.calibration.paging import column, pages, release
from workers.modelling.calibration.table import Floats, Ints, Table

_SEED: Final = 1
_AMPLE: Final = 2_000
"""Number of learners of which half determine items nearly as well as all."""
_FEWEST_PARTS, _MOST_PARTS = 2, 8


@dataclass(frozen=True)
class PartFit:
    """Fits that predict the learners of one part.

    Args:
        ability: ability fitted to the learners of all other parts.
        mastery: prior, learn, guess, slip and forget of each concept, fitted to the same learners,
            shape (5, concepts).
    """

    ability: AbilityFit
    mastery: Floats


def part_count(learners: int) -> int:
    """Choose the number of parts for cross-fitting.

    With few learners there are more parts, each leaving out fewer learners, since items fitted to
    half of them would be much worse than the final items.
    """
    return min(max(_FEWEST_PARTS, round(_AMPLE / max(learners, 1))), _MOST_PARTS)


def fit_without_part(table: Table, ability: AbilityFit, part: int) -> PartFit | None:
    """Fit all learners but those of a part.

    Args:
        table: all responses.
        ability: ability fitted to all responses.
        part: number of the part, below `part_count`.

    Returns:
        The fits; None if there are no other learners.
    """
    return fit_part(without_part(table, part), ability)


def without_part(table: Table, part: int) -> Table:
    """Select all learners but those of a part."""
    return table.of(_part(table) != part)


def fit_part(others: Table, ability: AbilityFit) -> PartFit | None:
    """Fit the learners that `without_part` selects, see `fit_without_part`."""
    if not others.learners:
        return None
    return PartFit(fit_ability(others, like=ability), fit_mastery(others))


def fit_combined(
    table: Table, ability: AbilityFit, mastery: Floats, parts: Sequence[PartFit | None]
) -> LastStepFit:
    """Fit the last step.

    Args:
        table: all responses.
        ability: ability fitted to all responses.
        mastery: mastery fitted to all responses, shape (5, concepts).
        parts: result of `fit_without_part` for each part.
    """
    design, part = column((table.link.size, len(FEATURES)), np.float64), _part(table)
    for number, fitted in enumerate(parts):
        here = part == number
        predicted = table.of(here)
        if not predicted.learners:
            continue
        part_fit = PartFit(ability, mastery) if fitted is None else fitted
        model = on_table(part_fit.ability, table)
        sources = feature_sources(predicted, model, part_fit.mastery)
        before = 0
        for links in pages(table.link.size):
            chosen = np.flatnonzero(here[table.learner[table.link[links]]])
            of_part = slice(before, before + chosen.size)
            design[links.start + chosen] = features(sources.of(of_part))
            before = of_part.stop
            release(design)
        table.release()
    return fit_last_step(table, design)


class LinkSources(NamedTuple):
    """Sources of the features of the links of a table."""

    table: Table
    z: Floats
    """Logit by ability of each response."""
    mastery: FilteredMastery

    def of(self, links: slice) -> FeatureSources:
        """Return the sources of some links."""
        filtered = self.mastery
        return FeatureSources(
            self.z[self.table.link[links]],
            (filtered.right[links], filtered.wrong[links]),
            filtered.mastery[links],
            (filtered.recent[links], filtered.lasting[links]),
            self.table.attempt[links].astype(np.float64),
            self.table.again[links].astype(np.float64),
        )


def feature_sources(table: Table, model: AbilityModel, mastery: Floats) -> LinkSources:
    """Compute the sources of the features for each link of a table.

    Args:
        table: at least one response.
        model: ability model over the table's items and concepts.
        mastery: prior, learn, guess, slip and forget of each concept, shape (5, concepts).
    """
    z = logits(table, model, run_filter(table, model))
    return LinkSources(table, z, filter_mastery(table, mastery))


def _part(table: Table) -> Ints:
    """Draw the part of each learner, shape (learners,)."""
    drawn = np.random.default_rng(_SEED).permutation(table.learners)
    part: Ints = drawn % part_count(table.learners)
    return part
