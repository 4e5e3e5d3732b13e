"""The learner: the unit of loading, locking, versioning and conflict."""

from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.responses import CORRECT_FROM
from workers.estimation.ability import AbilityEstimate, AbilityState
from workers.estimation.bkt import probability


class LearnerKey(NamedTuple):
    """Who: a student of a tenant. The same student id in two tenants is two learners."""

    tenant_id: str
    student_id: str


class Position(NamedTuple):
    """A place in a learner's own order: the order that counts, whatever arrives when."""

    answered_at_us: int
    """Microseconds since 1970-01-01T00:00:00Z."""
    response_id: str
    """Canonical UUID in lower case; it decides among answers of the same moment."""


class Response(NamedTuple):
    """One answer, as the fold sees it."""

    response_id: str
    session_id: str | None
    item_id: str
    concept_ids: tuple[str, ...]
    scale: str
    score: float
    """In [0, 1]."""
    answered_at_us: int
    """Microseconds since 1970-01-01T00:00:00Z."""

    @property
    def position(self) -> Position:
        """Its place in the learner's order."""
        return Position(self.answered_at_us, self.response_id)

    @property
    def correct(self) -> bool:
        """Whether the score is 0.5 or more."""
        return self.score >= CORRECT_FROM


class ConceptState(NamedTuple):
    """Mastery of one concept, in full precision: odds as in `workers.estimation.bkt`."""

    mantissa: float
    exponent: int
    attempts: int
    answered_at_us: int
    """Newest answer on it; 0 where there is none."""
    concept_offset: float = 0.0
    """On a calibrated scale, how far ability on it lies from ability on the scale: mean, logits."""
    offset_variance: float = 0.0
    """Variance of the same; 0 before the first answer on a calibrated scale."""
    gradient: tuple[float, ...] = ()
    """Derivatives of the log-odds by the concept's parameters, in the order and coordinates that
    `workers.estimation.uncertainty` says; empty where these have no covariance."""
    recent: float = 0.0
    """Sum of (score - 0.5) of the most recent answers, decayed as `workers.estimation.last_step`
    says; 0 on a scale without a last step."""
    lasting: float = 0.0
    """The same over a longer past."""

    @property
    def mastery(self) -> float:
        """P(known), in [0, 1]."""
        return probability(self.mantissa, self.exponent)


class SessionState(NamedTuple):
    """What a learner did in a practice session."""

    responses: int
    correct: int
    started_at_us: int
    ended_at_us: int

    def after(self, response: Response) -> "SessionState":
        """The session with one more answer; the order of answers does not matter."""
        return SessionState(
            self.responses + 1,
            self.correct + response.correct,
            min(self.started_at_us, response.answered_at_us),
            max(self.ended_at_us, response.answered_at_us),
        )


EMPTY_SESSION = SessionState(0, 0, 2**62, -(2**62))


@dataclass(slots=True)
class Learner:
    """A learner's state, or the part of it that a batch touches.

    A concept, scale or session that is absent has had no answer (or was not asked for).

    Args:
        version: what a commit compares; 0 before the first commit.
        last: position of the newest answer, None before the first.
        parameters_version: under which parameters the state was computed.
    """

    version: int = 0
    last: Position | None = None
    parameters_version: int = 1
    concepts: dict[str, ConceptState] = field(default_factory=dict)
    abilities: dict[str, AbilityState] = field(default_factory=dict)
    sessions: dict[str, SessionState] = field(default_factory=dict)


class ConceptOutcome(NamedTuple):
    """What an answer did to one concept."""

    concept_id: str
    mastery: float
    previous_mastery: float
    mastered: bool
    transition: str
    attempts: int
    probability_correct: float
    last_answered_at_us: int
    interval: tuple[float, float] | None = None
    """95 % credible interval of the mastery, each in [0, 1]; None where it is not known."""
    ability: "ScaleOutcome | None" = None
    """Of another scale whose current value the answer changed too, and that no other tells of."""


class AbilityOutcome(NamedTuple):
    """What an answer did to the ability of its scale."""

    estimate: AbilityEstimate
    previous_theta: float
    person_fit: float | None = None
    """`workers.estimation.person_fit.person_fit` after it."""


class ScaleOutcome(NamedTuple):
    """What an answer did to the ability of a scale that is not its own."""

    scale: str
    ability: AbilityOutcome


class Outcome(NamedTuple):
    """What one applied answer brought: predicted before it was seen, decided at its commit."""

    concepts: tuple[ConceptOutcome, ...]
    """First those of the answer, in its order; then others whose current value it changed."""
    ability: AbilityOutcome
    session: SessionState | None
    parameters_version: int
    probability_correct: float
    """The response's expected score before it was seen, in [0, 1]; those of its concepts are what
    each of them alone makes expect."""
