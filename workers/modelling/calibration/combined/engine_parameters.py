"""Turn fits of ability, mastery and last step into parameters of the engine."""

import numpy as np

from workers.estimation.items import ItemParameters
from workers.estimation.last_step import PredictionWeights
from workers.estimation.parameters import ConceptParameters
from workers.estimation.scales import PRACTICE_RATIO, ConceptOffset, ScaleParameters
from workers.modelling.calibration.ability.fit import AbilityFit
from workers.modelling.calibration.bkt.mastery import MasteryParameters
from workers.modelling.calibration.combined.last_step_fit import LastStepFit
from workers.modelling.calibration.table import Floats, Table, answered_concepts


def scale_of(fit: AbilityFit, last_step: LastStepFit | None) -> ScaleParameters:
    """Build the scale; without a last step ability alone predicts."""
    model, shared = fit.model, fit.shared_parameters
    return ScaleParameters(
        model.mean,
        model.variance,
        model.walk,
        ItemParameters(float(fit.items.of_concept.mean())),
        ConceptOffset(
            float(shared.offset_variance),
            float(shared.offset_walk),
            float(shared.drift),
            PRACTICE_RATIO,
        ),
        predicts=last_step is None,
        prediction=None if last_step is None else weights_of(last_step.common),
    )


def weights_of(numbers: Floats) -> PredictionWeights:
    """Build the weights of the last step.

    Args:
        numbers: weights in the order of `last_step.FEATURES`, shape (features,).
    """
    return PredictionWeights(*numbers.tolist())


def items_of(table: Table, fit: AbilityFit) -> dict[str, ItemParameters]:
    """Build the parameters of the answered items by item id."""
    model = fit.model
    return {
        table.items[at]: ItemParameters(
            float(model.difficulty[at]), float(model.discrimination[at])
        )
        for at in np.flatnonzero(table.responses_of_item).tolist()
    }


def concepts_of(
    table: Table, fit: AbilityFit, mastery: MasteryParameters, last_step: LastStepFit | None
) -> dict[str, ConceptParameters]:
    """Build the parameters of the answered concepts by concept id."""
    model = fit.model
    return {
        name: ConceptParameters(
            mastery.own[name],
            ItemParameters(float(fit.items.of_concept[at])),
            ConceptOffset(
                float(model.offset_variance[at]),
                float(model.offset_walk[at]),
                float(model.drift[at]),
                PRACTICE_RATIO,
            ),
            None if last_step is None else weights_of(last_step.own[at]),
        )
        for at, name in answered_concepts(table)
    }
