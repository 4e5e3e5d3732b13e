"""Parameters that don't mean what their names say, or that nothing in the data tells."""

from collections.abc import Iterator
from typing import Final

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import BktParameters
from workers.modelling.calibration.ceilings import ceiling_warning, ceilings_of
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.tallies import Tallies

_HALF: Final = 0.5
"""Guess or slip above which a name no longer fits.

Source: Baker, Corbett & Aleven (2008), "More accurate student modeling through contextual
estimation of slip and guess probabilities in Bayesian knowledge tracing", ITS, 406-415.
"""
_NO_LEARNING: Final = 0.001
_EDGE: Final = 0.01
"""Nearness to 0 or 1 at which a prior leaves nothing open."""
_SAME: Final = 0.1
"""Logits between knowing and not knowing below which answers say next to nothing."""
_FLAT: Final = 0.2
"""Discrimination below which an item says next to nothing of ability."""
_FAR: Final = 4.0
"""Difficulty, logits from 0, beyond which hardly any learner is."""
_RARE: Final = 5
"""Answers below which an item's parameters are mostly what is usual of others."""


def degenerate(fitted: Fitted, tallies: Tallies) -> list[str]:
    """What to know before parameters are used, one sentence each; those of the fit stand first."""
    found = list(fitted.warnings)
    low = ceiling_warning(ceilings_of(fitted.parameters, fitted.parameters.concepts))
    if low is not None and low not in found:
        found.append(low)
    for concept_id, concept in fitted.parameters.concepts.items():
        found += [f"concept {concept_id!r}: {why}" for why in _of_mastery(concept.mastery)]
    items = fitted.parameters.items
    for item_id, item in items.items():
        found += [f"item {item_id!r}: {why}" for why in _of_item(item)]
    answered = {item_id: tally for item_id, tally in tallies.items.items() if item_id in items}
    rare = sum(tally.answers < _RARE for tally in answered.values())
    if rare:
        found.append(
            f"{rare:,} of {len(answered):,} items have fewer than {_RARE} answers, so their "
            "parameters are mostly what is usual of others"
        )
    alike = sum(tally.alike and tally.answers >= _RARE for tally in answered.values())
    if alike:
        found.append(
            f"{alike:,} of {len(answered):,} items have {_RARE} answers or more, all alike, so "
            "only what is usual keeps their parameters from running off"
        )
    return found


def _of_mastery(mastery: BktParameters | None) -> Iterator[str]:
    if mastery is None:
        return
    if mastery.guess > _HALF:
        yield f"guess is {mastery.guess:.2f}: those who don't know it are mostly right"
    if mastery.slip > _HALF:
        yield f"slip is {mastery.slip:.2f}: those who know it are mostly wrong"
    if not _EDGE <= mastery.prior <= 1.0 - _EDGE:
        yield f"prior is {mastery.prior:.3f}: what is known at the start is taken for granted"
    if mastery.learn < _NO_LEARNING:
        yield f"learn is {mastery.learn:.4f}: nobody seems to learn it from answering"


def _of_item(item: ItemParameters) -> Iterator[str]:
    if item.guess is not None and item.slip is not None:
        if item.guess + item.slip > 1.0 - _SAME:
            yield (
                f"guess + slip is {item.guess + item.slip:.2f}: answers say next to nothing of "
                "mastery"
            )
        return
    if item.discrimination < _FLAT:
        yield f"discrimination is {item.discrimination:.2f}: it hardly tells learners apart"
    if abs(item.location) > _FAR:
        yield f"difficulty is {item.location:.1f} logits: hardly any learner is there"
