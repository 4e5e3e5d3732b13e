"""Calibrated parameters of the concepts and scales of `tests.support.factories.learner_log`."""

from typing import Final

from workers.estimation.items import ItemParameters
from workers.estimation.last_step import PredictionWeights
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.scales import ConceptOffset, ScaleParameters

_UNSURE: Final = tuple(
    tuple(0.09 if row == column else 0.01 for column in range(5)) for row in range(5)
)

LAST_STEP: Final = Parameters(
    default=BktParameters(0.35, 0.12, 0.2, 0.1, 0.01, 0.02, _UNSURE),
    concepts={
        "c0": ConceptParameters(
            None,
            ItemParameters(-0.7, 1.2),
            ConceptOffset(0.8, 0.05, 0.03, 0.9),
            PredictionWeights(0.2, 0.7, 0.1, 0.5, 0.3, 0.1),
        ),
        "c1": ConceptParameters(BktParameters(0.3, 0.1, 0.2, 0.1)),
    },
    items={"item-1": ItemParameters(0.9, 0.7, 0.2), "item-2": ItemParameters(0.0, 1.6)},
    any_scale=ScaleParameters(
        0.2,
        1.4,
        0.02,
        concept_offset=ConceptOffset(0.3, 0.01),
        prediction=PredictionWeights(-0.1, 0.6, 0.3, 0.4, 0.25, 0.15, 0.2, -0.1, 0.05, 0.02, -0.03),
    ),
)
"""A last step predicts from mastery and ability; each concept but one has an interval."""

IRT: Final = Parameters(
    items={
        "item-1": ItemParameters(0.9, 0.7, 0.2, 0.95),
        "item-2": ItemParameters(0.0, 1.6, thresholds=(-0.5, 0.4)),
        "item-3": ItemParameters(0.3, 1.1, thresholds=(-0.5, 0.4), steps="partial_credit"),
    },
    scales={"math": ScaleParameters(-0.3, 2.0, 0.0, predicts=True)},
)
"""Ability predicts on one scale; the other is not calibrated, and there are no intervals."""
