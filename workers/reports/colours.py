"""Colours of as many lines as there are: the first few chosen by hand, the others by angle."""

from collections.abc import Iterable
from typing import Final

BY_HAND: Final = 6
"""How many the style sheet has."""
_GOLDEN_ANGLE: Final = 137.508
"""Degrees between neighbours: however many there are, no two come close soon."""


def colour_rules(places: Iterable[int]) -> str:
    """Style rules of the colours that are needed beyond those chosen by hand.

    Args:
        places: numbers of colours, from 0.
    """
    return "".join(
        f".m{place} {{ stroke: {colour}; }} .d{place} {{ fill: {colour}; }}\n"
        for place in sorted(set(places))
        if place >= BY_HAND
        for colour in [f"hsl({place * _GOLDEN_ANGLE % 360:.0f} 60% var(--more))"]
    )
