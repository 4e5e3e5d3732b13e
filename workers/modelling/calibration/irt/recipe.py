"""The recipes `1pl` to `4pl`, `graded` and `partial-credit`: items by marginal likelihood."""

from collections.abc import Sequence

import numpy as np

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import ConceptParameters, Parameters
from workers.estimation.scales import ScaleParameters
from workers.modelling.calibration.bkt.mastery import (
    fit_mastery,
    mastery_parameters,
    mastery_warnings,
)
from workers.modelling.calibration.fitted import Fitted, by_concept
from workers.modelling.calibration.irt.bank import Model
from workers.modelling.calibration.irt.marginal_fit import fit_marginal
from workers.modelling.calibration.table import Table, answered_concepts


def marginal(table: Table, model: Model) -> Fitted:
    """Fit items of a model by marginal likelihood, and mastery by knowledge tracing.

    Ability alone predicts. An item without answers takes the mean item of its concept.
    """
    fit = fit_marginal(table, model)
    bkt = fit_mastery(table)
    mastery = mastery_parameters(table, bkt)
    answered = np.flatnonzero(table.responses_of_item).tolist()
    items_of_concept: dict[int, list[ItemParameters]] = {}
    for at in answered:
        concept = int(table.concept_of_item[at])
        items_of_concept.setdefault(concept, []).append(fit.items[at])
    concepts = {
        name: ConceptParameters(
            mastery.own[name],
            mean_item(items_of_concept[at]) if at in items_of_concept else None,
        )
        for at, name in answered_concepts(table)
    }
    return Fitted(
        Parameters(
            default=mastery.default,
            concepts=concepts,
            items={table.items[at]: fit.items[at] for at in answered},
            any_scale=ScaleParameters(
                item=mean_item([fit.items[at] for at in answered]), predicts=True
            ),
        ),
        by_concept(table, fit.log_likelihood),
        mastery_warnings(table, bkt) + ([] if fit.converged else ["the fit did not converge"]),
        {table.items[at]: fit.errors[at] for at in answered},
    )


def mean_item(items: Sequence[ItemParameters]) -> ItemParameters:
    """Average items: arithmetic means, and the geometric mean of discriminations."""
    numbers = np.array(
        [(item.location, item.discrimination, item.lower, item.upper) for item in items]
    )
    mean = numbers.mean(axis=0)
    mean[1] = np.exp(np.log(numbers[:, 1]).mean())
    # Rounding could carry the mean past a bound at which all items stand.
    return ItemParameters(*np.clip(mean, numbers.min(axis=0), numbers.max(axis=0)).tolist())
