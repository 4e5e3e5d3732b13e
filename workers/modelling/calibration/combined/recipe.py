"""The recipes that fit the ability filter: `bkt-irt`, the default, and `irt`."""

from collections.abc import Sequence

import numpy as np
from scipy.special import log_expit

from workers.estimation.parameters import Parameters
from workers.modelling.calibration.ability.fit import AbilityFit, fit_ability
from workers.modelling.calibration.bkt.mastery import (
    fit_mastery,
    mastery_parameters,
    mastery_warnings,
)
from workers.modelling.calibration.combined.engine_parameters import (
    concepts_of,
    items_of,
    scale_of,
)
from workers.modelling.calibration.combined.fit import (
    PartFit,
    fit_combined,
    fit_without_part,
    part_count,
)
from workers.modelling.calibration.fitted import Fitted, by_concept
from workers.modelling.calibration.table import Floats, Ints, Table


def irt(table: Table) -> Fitted:
    """Fit mastery and ability; ability alone predicts."""
    ability, bkt = fit_ability(table), fit_mastery(table)
    mastery = mastery_parameters(table, bkt)
    return Fitted(
        Parameters(
            default=mastery.default,
            concepts=concepts_of(table, ability, mastery, None),
            items=items_of(table, ability),
            any_scale=scale_of(ability, None),
        ),
        by_concept(table, ability.log_likelihood),
        mastery_warnings(table, bkt) + _ability_warnings(ability),
    )


def combined(table: Table) -> Fitted:
    """Fit mastery, ability and the last step over both."""
    ability = fit_ability(table)
    parts = range(part_count(table.learners))
    return combined_from_parts(
        table, ability, [fit_without_part(table, ability, part) for part in parts]
    )


def combined_from_parts(
    table: Table, ability: AbilityFit, parts: Sequence[PartFit | None]
) -> Fitted:
    """Finish the recipe `bkt-irt` from fits of ability and of all parts.

    Args:
        table: all responses.
        ability: ability fitted to all responses.
        parts: result of `fit_without_part` for each part.
    """
    bkt = fit_mastery(table)
    mastery = mastery_parameters(table, bkt)
    last_step = fit_combined(table, ability, bkt, parts)

    def log_likelihood(_: slice, response: Ints) -> Floats:
        logit = last_step.logit[response]
        return np.asarray(table.score[response] * logit + log_expit(-logit))

    return Fitted(
        Parameters(
            default=mastery.default,
            concepts=concepts_of(table, ability, mastery, last_step),
            items=items_of(table, ability),
            any_scale=scale_of(ability, last_step),
        ),
        by_concept(table, table.sum_by_concept(log_likelihood)),
        mastery_warnings(table, bkt)
        + _ability_warnings(ability)
        + ([] if last_step.converged else ["the last step did not converge"]),
    )


def _ability_warnings(ability: AbilityFit) -> list[str]:
    return [] if ability.converged else ["the fit of ability did not converge"]
