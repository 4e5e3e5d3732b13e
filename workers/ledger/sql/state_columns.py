"""The columns of states that a commit and a rewrite write alike."""

from collections.abc import Iterable, Mapping, Sequence

from workers.estimation.ability import AbilityEstimate, AbilityState
from workers.estimation.learner import ConceptState, SessionState
from workers.ledger.rows import Interval
from workers.ledger.sql.arrays import booleans, moments, plain, texts
from workers.ledger.sql.calibrated_columns import (
    calibrated_ability_columns,
    calibrated_concept_columns,
)
from workers.ledger.sql.documents import Document


def concept_columns(
    *,
    learners: Iterable[int],
    concept_ids: Iterable[str],
    masteries: Iterable[float],
    mastered: Iterable[bool],
    states: Sequence[ConceptState],
    intervals: Sequence[Interval | None],
) -> Document:
    """Write rows of `concept_mastery`, one value of each argument per row."""
    return {
        "c_of": plain(learners),
        "c_concept": texts(concept_ids),
        "c_mastery": plain(masteries),
        "c_mastered": booleans(mastered),
        "c_mantissa": plain(state.mantissa for state in states),
        "c_exponent": plain(state.exponent for state in states),
        "c_attempts": plain(state.attempts for state in states),
        "c_at": moments(state.answered_at_us for state in states),
        **calibrated_concept_columns(states, intervals),
    }


def ability_columns(
    *,
    learners: Iterable[int],
    scales: Iterable[str],
    estimates: Sequence[AbilityEstimate],
    states: Sequence[AbilityState],
) -> Document:
    """Write rows of `student_ability`, one value of each argument per row."""
    return {
        "a_of": plain(learners),
        "a_scale": texts(scales),
        "a_theta": plain(estimate.theta for estimate in estimates),
        "a_standard_error": plain(estimate.standard_error for estimate in estimates),
        "a_responses": plain(state.responses for state in states),
        "a_score": plain(state.score for state in states),
        **calibrated_ability_columns(states),
    }


def session_columns(
    *, learners: Iterable[int], session_ids: Iterable[str], states: Sequence[SessionState]
) -> Document:
    """Write rows of `practice_sessions`, one value of each argument per row."""
    return {
        "s_of": plain(learners),
        "s_session": texts(session_ids),
        "s_responses": plain(state.responses for state in states),
        "s_correct": plain(state.correct for state in states),
        "s_started": moments(state.started_at_us for state in states),
        "s_ended": moments(state.ended_at_us for state in states),
    }


def rate_columns(kept: Iterable[Mapping[int, int] | None]) -> Document:
    """Write the counts of the newest windows, one item per learner; None leaves them as they are.

    Returns:
        The columns; {} if all items are None.
    """
    listed = list(kept)
    if all(counts is None for counts in listed):
        return {}
    return {
        "w_start": texts(None if counts is None else plain(counts) for counts in listed),
        "w_count": texts(None if counts is None else plain(counts.values()) for counts in listed),
    }
