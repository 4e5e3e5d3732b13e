"""Curriculum of the simulated class: twelve concepts of one scale, in the order of teaching."""

from typing import Final, NamedTuple

SCALE: Final = "math"


class Concept(NamedTuple):
    """A concept and its display name."""

    concept_id: str
    title: str


CONCEPTS: Final = (
    Concept("numbers.place-value", "Place value"),
    Concept("numbers.negative", "Negative numbers"),
    Concept("numbers.order-of-operations", "Order of operations"),
    Concept("fractions.equivalent", "Equivalent fractions"),
    Concept("fractions.add", "Adding fractions"),
    Concept("fractions.multiply", "Multiplying fractions"),
    Concept("decimals.round", "Rounding decimals"),
    Concept("percent.of-amount", "Percentages"),
    Concept("ratio.share", "Sharing in a ratio"),
    Concept("algebra.simplify", "Collecting like terms"),
    Concept("algebra.equation", "Linear equations"),
    Concept("geometry.area", "Area of triangles"),
)
