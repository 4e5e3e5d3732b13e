"""The largest mastery that a concept's parameters allow."""

from typing import Final

from workers.estimation.parameters import Mastery

LOWEST: Final = 0.99
"""Ceiling below which mastery is hard to reach: a concept under it brings a warning."""


def ceiling(model: Mastery) -> float:
    """Return the supremum of mastery after an answer, in (0, 1].

    After an answer mastery is p·(1 - forget) + (1 - p)·learn, with p in [0, 1] given the answer:
    Corbett & Anderson (1995), equation 3, with forgetting. It is largest at p = 1 or at p = 0.
    """
    return max(1.0 - model.forget, model.learn)


def ceiling_warning(concept: str, highest: float) -> str | None:
    """Warn of a concept whose ceiling lies below `LOWEST`.

    Args:
        concept: its id.
        highest: its ceiling, in (0, 1].

    Returns:
        A sentence with a remedy; None if the ceiling is high enough.
    """
    if highest >= LOWEST:
        return None
    return (
        f"concept {concept!r}: mastery cannot rise above {highest:.3f}, because an answer forgets "
        f"{1.0 - highest:.3f} of it: fit a model that forgets less, such as bkt"
    )
