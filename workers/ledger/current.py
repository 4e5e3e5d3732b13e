"""What is current of a learner and the responses it is due to: `mastery_current`, asked and read.

``supabase/schemas/23_current.sql`` describes the documents.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Recorded


class CurrentConcept(NamedTuple):
    """What the ledger says of a learner's mastery of a concept."""

    concept_id: str
    mastery: float
    attempts: int
    mastered: bool
    answered_at_us: int
    version: int
    parameters_version: int
    interval: tuple[float, float] | None = None
    """95 % credible interval of the mastery; None where it is not known."""


class CurrentAbility(NamedTuple):
    """What the ledger says of a learner's ability on a scale."""

    scale: str
    theta: float
    standard_error: float
    version: int
    person_fit: float | None = None


class CurrentSession(NamedTuple):
    """What the ledger says of a learner's answers in a session."""

    session_id: str
    responses: int
    correct: int
    version: int


@dataclass(slots=True)
class Current:
    """The current values of a learner, in one snapshot.

    Args:
        key: who.
        concepts, abilities, sessions: all of them.
        responses: those whose version a row has; for a concept whose version no response has, one
            on it that was answered when the concept was last.
    """

    key: LearnerKey
    concepts: list[CurrentConcept] = field(default_factory=list)
    abilities: list[CurrentAbility] = field(default_factory=list)
    sessions: list[CurrentSession] = field(default_factory=list)
    responses: list[Recorded] = field(default_factory=list)


def interval_of(low: float | None, high: float | None) -> tuple[float, float] | None:
    """Both ends of an interval; None where it is not known."""
    return None if low is None or high is None else (low, high)
