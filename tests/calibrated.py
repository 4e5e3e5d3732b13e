"""Calibrated parameters of the concepts and scales of `tests.factories.learner_log`."""

from typing import Final

from workers.estimation.informed import InformedParameters
from workers.estimation.items import ItemParameters
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.scales import Deviation, ScaleParameters

_UNSURE: Final = tuple(
    tuple(0.09 if row == column else 0.01 for column in range(7)) for row in range(7)
)
_INFORMED: Final = InformedParameters(-1.1, 1.3, 0.7, -0.4, 0.6, 0.12, 0.01, 0.02, _UNSURE)

INFORMED: Final = Parameters(
    default=_INFORMED,
    concepts={
        "c0": ConceptParameters(None, ItemParameters(-0.7, 1.2), Deviation(0.8, 0.05, 0.03)),
        "c1": ConceptParameters(BktParameters(0.3, 0.1, 0.2, 0.1)),
    },
    items={"item-1": ItemParameters(0.9, 0.7, 0.2), "item-2": ItemParameters(0.0, 1.6)},
    any_scale=ScaleParameters(0.2, 1.4, 0.02, deviation=Deviation(0.3, 0.01)),
)
"""Mastery informed by ability, a concept without it; each has an interval but one."""

IRT: Final = Parameters(
    items={
        "item-1": ItemParameters(0.9, 0.7, 0.2, 0.95),
        "item-2": ItemParameters(0.0, 1.6, thresholds=(-0.5, 0.4)),
        "item-3": ItemParameters(0.3, 1.1, thresholds=(-0.5, 0.4), steps="partial_credit"),
    },
    scales={"math": ScaleParameters(-0.3, 2.0, 0.0, predicts=True)},
)
"""Ability predicts on one scale; the other is not calibrated, and nothing has an interval."""
