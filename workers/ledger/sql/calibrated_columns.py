"""The columns of states that exist only under calibrated parameters, written and read.

``supabase/schemas/13_concept_mastery.sql`` and ``14_student_ability.sql`` describe the columns. A
number that is 0 is null there.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from workers.estimation.learner import ConceptState
from workers.ledger.sql.arrays import numbers, plain, texts

Document = dict[str, Any]


class CalibratedConcept(NamedTuple):
    """Columns of a concept; all of them null under parameters that are not calibrated."""

    deviation: float
    deviation_variance: float
    gradient: tuple[float, ...]
    recent: float
    lasting: float
    low: float | None
    high: float | None

    @classmethod
    def of(cls, state: ConceptState, low: float | None, high: float | None) -> Self:
        """Take them from a state and the ends of the interval of its mastery."""
        return cls(
            state.concept_offset,
            state.offset_variance,
            state.gradient,
            state.recent,
            state.lasting,
            low,
            high,
        )


def calibrated_concepts(rows: Sequence[CalibratedConcept]) -> Document:
    """Write the columns that exist only under calibrated parameters; {} if no row has them."""
    if not any(any(row) for row in rows):
        return {}
    return {
        "c_deviation": numbers(row.deviation or None for row in rows),
        "c_deviation_variance": numbers(row.deviation_variance or None for row in rows),
        "c_gradient": texts(plain(row.gradient) if row.gradient else None for row in rows),
        "c_recent": numbers(row.recent or None for row in rows),
        "c_lasting": numbers(row.lasting or None for row in rows),
        "c_low": numbers(row.low for row in rows),
        "c_high": numbers(row.high for row in rows),
    }


def calibrated_abilities(rows: Sequence[tuple[float, ...]]) -> Document:
    """Write the columns that exist only on calibrated scales; {} if no row is of one."""
    if not any(row[0] for row in rows):
        return {}
    names = ("a_variance", "a_surprise", "a_surprise_variance")
    return {
        name: numbers(value if row[0] else None for value, row in zip(column, rows, strict=True))
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


def concept_state(
    mantissa: float, exponent: int, attempts: int, answered_at_us: int, calibrated: Sequence[Any]
) -> ConceptState:
    """Read the state of a concept.

    Args:
        mantissa: as in the state.
        exponent: as in the state.
        attempts: as in the state.
        answered_at_us: as in the state.
        calibrated: deviation, deviation_variance, gradient, recent and lasting, each None for 0;
            none of them from a schema that has no such columns yet.

    Raises:
        ValueError: if some of these columns are missing, but not all.
    """
    deviation, variance, gradient, recent, lasting = calibrated or (None,) * 5
    return ConceptState(
        mantissa,
        exponent,
        attempts,
        answered_at_us,
        float(deviation or 0),
        float(variance or 0),
        tuple(map(float, gradient or ())),
        float(recent or 0),
        float(lasting or 0),
    )


def float_or_none(value: float | str | None) -> float | None:
    """Read a number as JSON carries it."""
    return None if value is None else float(value)
