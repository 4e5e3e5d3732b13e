"""Warn of parameters that contradict their names or that the data do not determine."""

from collections.abc import Iterator
from typing import Final

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import BktParameters
from workers.modelling.calibration.ceilings import ceiling_warning, ceilings_of
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.tallies import Tallies

_HALF: Final = 0.5
"""Guess or slip above which its name no longer fits.

Source: Baker, Corbett & Aleven (2008), "More accurate student modeling through contextual
estimation of slip and guess probabilities in Bayesian knowledge tracing", ITS, 406-415."""
_NO_LEARNING: Final = 0.001
"""Learn below which a concept shows no learning."""
_EDGE: Final = 0.01
"""Distance of a prior from 0 or 1 within which it is practically certain."""
_SAME: Final = 0.1
"""Value of 1 - guess - slip below which answers say almost nothing about mastery."""
_FLAT: Final = 0.2
"""Discrimination below which an item says almost nothing about ability."""
_FAR: Final = 4.0
"""Distance of a difficulty from 0, in logits, beyond which there are hardly any learners."""
_RARE: Final = 5
"""Number of answers below which an item's parameters mostly come from the prior."""


def degenerate(fitted: Fitted, tallies: Tallies) -> list[str]:
    """List warnings about parameters, one sentence each, those of the fit first."""
    warnings = list(fitted.warnings)
    low = ceiling_warning(ceilings_of(fitted.parameters, fitted.parameters.concepts))
    if low is not None and low not in warnings:
        warnings.append(low)
    for concept_id, concept in fitted.parameters.concepts.items():
        warnings += [f"concept {concept_id!r}: {why}" for why in _of_mastery(concept.mastery)]
    items = fitted.parameters.items
    for item_id, item in items.items():
        warnings += [f"item {item_id!r}: {why}" for why in _of_item(item)]
    answered = {item_id: tally for item_id, tally in tallies.items.items() if item_id in items}
    rare = sum(tally.answers < _RARE for tally in answered.values())
    if rare:
        warnings.append(
            f"{rare:,} of {len(answered):,} items have fewer than {_RARE} answers, so their "
            "parameters mostly come from the prior"
        )
    alike = sum(tally.alike and tally.answers >= _RARE for tally in answered.values())
    if alike:
        warnings.append(
            f"{alike:,} of {len(answered):,} items have {_RARE} answers or more, all alike, so "
            "only the prior keeps their parameters finite"
        )
    return warnings


def _of_mastery(mastery: BktParameters | None) -> Iterator[str]:
    if mastery is None:
        return
    if mastery.guess > _HALF:
        yield f"guess is {mastery.guess:.2f}: learners who do not know it are mostly right"
    if mastery.slip > _HALF:
        yield f"slip is {mastery.slip:.2f}: learners who know it are mostly wrong"
    if not _EDGE <= mastery.prior <= 1.0 - _EDGE:
        yield f"prior is {mastery.prior:.3f}: mastery at the start is practically certain"
    if mastery.learn < _NO_LEARNING:
        yield f"learn is {mastery.learn:.4f}: answering hardly teaches it"


def _of_item(item: ItemParameters) -> Iterator[str]:
    if item.guess is not None and item.slip is not None:
        if item.guess + item.slip > 1.0 - _SAME:
            yield (
                f"guess + slip is {item.guess + item.slip:.2f}: answers say almost nothing about "
                "mastery"
            )
        return
    if item.discrimination < _FLAT:
        yield f"discrimination is {item.discrimination:.2f}: it hardly separates learners"
    if abs(item.location) > _FAR:
        yield f"difficulty is {item.location:.1f} logits: hardly any learner has such an ability"
