"""The largest mastery that the parameters of concepts allow."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from workers.estimation.parameters import BktParameters, Parameters

LOWEST: Final = 0.99
"""Ceiling below which mastery is hard to reach, so that a warning names the concept."""

_NAMED: Final = 20
"""Largest number of concepts that a warning names."""


def ceiling(model: BktParameters) -> float:
    """Return the supremum of mastery after an answer, in (0, 1].

    Mastery after an answer is p·(1 - forget) + (1 - p)·learn, with p in [0, 1] given the answer:
    Corbett & Anderson (1995), equation 3, with forgetting. It is largest at p = 1 or at p = 0.
    """
    return max(1.0 - model.forget, model.learn)


def ceilings_of(parameters: Parameters, concepts: Iterable[str]) -> dict[str, float]:
    """Return the ceiling of each concept, in (0, 1]."""
    return {concept: ceiling(parameters.of_concept(concept)) for concept in concepts}


def lowest_of(ceilings: Mapping[str, float]) -> float:
    """Return the lowest ceiling, NaN if there is none."""
    return min(ceilings.values(), default=math.nan)


def ceiling_warning(ceilings: Mapping[str, float]) -> str | None:
    """Warn of concepts whose ceiling lies below `LOWEST`.

    Args:
        ceilings: ceilings of concepts by id, each in (0, 1].

    Returns:
        A sentence with the lowest ceilings and a remedy; None if all are high enough.
    """
    low = sorted((highest, concept) for concept, highest in ceilings.items() if highest < LOWEST)
    if not low:
        return None
    named = ", ".join(f"{concept!r} ({highest:.3f})" for highest, concept in low[:_NAMED])
    more = f" and {len(low) - _NAMED:,} more" if len(low) > _NAMED else ""
    which = "1 concept" if len(low) == 1 else f"{len(low):,} concepts"
    return (
        f"mastery of {which} cannot stay at {LOWEST} after an answer, because the parameters "
        f"forget too much: {named}{more}; fit a model that forgets less, such as bkt"
    )
