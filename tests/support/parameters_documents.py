"""Documents of parameters: other ones, calibrated ones, and ones of a newer engine."""

from typing import Final

from workers.estimation.documents import parameters_document
from workers.estimation.last_step import PredictionWeights
from workers.estimation.parameters import BktParameters, Parameters
from workers.estimation.scales import ConceptOffset, ScaleParameters

OTHER: Final = parameters_document(Parameters(default=BktParameters(0.4, 0.2, 0.15, 0.05, 0.02)))
CALIBRATED: Final = parameters_document(
    Parameters(
        default=BktParameters(
            0.3,
            0.1,
            0.2,
            0.15,
            0.03,
            decay_per_day=0.05,
            covariance=tuple(tuple(0.01 * (i == j) for j in range(5)) for i in range(5)),
        ),
        any_scale=ScaleParameters(
            0.2,
            1.5,
            0.01,
            concept_offset=ConceptOffset(0.5, 0.01, 0.02),
            prediction=PredictionWeights(0.1, 0.6, 0.3, 0.4, 0.2, 0.1, 0.2),
        ),
    )
)
NEWER: Final = OTHER | {"of_a_newer_engine": {"a": 1}}
