"""Columns that are null unless the parameters are calibrated. Null stands for 0."""

from collections.abc import Sequence

from workers.estimation.ability import AbilityState
from workers.estimation.learner import ConceptState
from workers.ledger.rows import Interval
from workers.ledger.sql.arrays import numbers, plain, texts
from workers.ledger.sql.documents import Document

Number = float | str | None
"""A float8 in JSON: NaN and the infinities are strings."""


def calibrated_concept_columns(
    states: Sequence[ConceptState], intervals: Sequence[Interval | None]
) -> Document:
    """Write the calibrated columns of concepts; {} if no row has any.

    Args:
        states: one per row.
        intervals: the credible interval of each row's mastery, None if it is unknown.
    """
    if not any(
        state.concept_offset
        or state.offset_variance
        or state.gradient
        or state.recent
        or state.lasting
        or interval
        for state, interval in zip(states, intervals, strict=True)
    ):
        return {}
    ends = [interval or (None, None) for interval in intervals]
    return {
        "c_deviation": numbers(state.concept_offset or None for state in states),
        "c_deviation_variance": numbers(state.offset_variance or None for state in states),
        "c_gradient": texts(plain(state.gradient) if state.gradient else None for state in states),
        "c_recent": numbers(state.recent or None for state in states),
        "c_lasting": numbers(state.lasting or None for state in states),
        "c_low": numbers(low for low, _ in ends),
        "c_high": numbers(high for _, high in ends),
    }


def calibrated_ability_columns(states: Sequence[AbilityState]) -> Document:
    """Write the calibrated columns of abilities; {} if no scale is calibrated."""
    if not any(state.variance for state in states):
        return {}
    return {
        "a_variance": numbers(state.variance or None for state in states),
        "a_surprise": numbers(state.surprise if state.variance else None for state in states),
        "a_surprise_variance": numbers(
            state.surprise_variance if state.variance else None for state in states
        ),
    }


def concept_state(  # noqa: PLR0917  # the columns of a row, in the order of the function
    mantissa: float | str,
    exponent: int,
    attempts: int,
    answered_at_us: int,
    deviation: Number,
    deviation_variance: Number,
    gradient: Sequence[float | str] | None,
    recent: Number,
    lasting: Number,
    *_newer: object,
) -> ConceptState:
    """Read the state of a concept from its columns; skip columns that a newer schema appends."""
    return ConceptState(
        mantissa=float(mantissa),
        exponent=exponent,
        attempts=attempts,
        answered_at_us=answered_at_us,
        concept_offset=float(deviation or 0),
        offset_variance=float(deviation_variance or 0),
        gradient=tuple(map(float, gradient or ())),
        recent=float(recent or 0),
        lasting=float(lasting or 0),
    )


def ability_state(  # noqa: PLR0917  # the columns of a row, in the order of the function
    responses: int,
    score: float | str,
    theta: float | str,
    variance: Number,
    surprise: Number,
    surprise_variance: Number,
) -> AbilityState:
    """Read the state of an ability from its columns; theta is the mean of a calibrated scale."""
    spread = float(variance or 0)
    return AbilityState(
        responses=responses,
        score=float(score),
        mean=float(theta) if spread else 0.0,
        variance=spread,
        surprise=float(surprise or 0),
        surprise_variance=float(surprise_variance or 0),
    )


def read_interval(low: Number, high: Number) -> Interval | None:
    """Read both ends of an interval; None if it is unknown."""
    return None if low is None or high is None else (float(low), float(high))
