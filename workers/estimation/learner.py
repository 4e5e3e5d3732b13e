"""The learner: the unit of loading, locking, versioning and conflict."""

from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.responses import CORRECT_FROM
from workers.estimation.ability import AbilityEstimate, AbilityState
from workers.estimation.bkt import probability


class LearnerKey(NamedTuple):
    """A student of a tenant. The same student id in two tenants is two learners."""

    tenant_id: str
    student_id: str


class Position(NamedTuple):
    """A place in the learner's own order, which counts whatever arrives when."""

    answered_at_us: int
    """Microseconds since 1970-01-01T00:00:00Z."""
    response_id: str
    """Canonical UUID in lower case; breaks ties of answers at the same time."""


class Response(NamedTuple):
    """One answer."""

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
        """Place in the learner's order."""
        return Position(self.answered_at_us, self.response_id)

    @property
    def correct(self) -> bool:
        """True if the score is 0.5 or more."""
        return self.score >= CORRECT_FROM


class ConceptState(NamedTuple):
    """Mastery of one concept in full precision, as odds of `workers.estimation.bkt`."""

    mantissa: float
    exponent: int
    attempts: int
    answered_at_us: int
    """Time of the newest answer on the concept, microseconds since 1970; 0 without one."""
    concept_offset: float = 0.0
    """Posterior mean of ability on the concept minus ability on its scale, logits; 0 on an
    uncalibrated scale."""
    offset_variance: float = 0.0
    """Posterior variance of the offset; 0 before the first answer on a calibrated scale."""
    gradient: tuple[float, ...] = ()
    """Derivatives of the log-odds by the logits of the concept's parameters
    (`workers.estimation.gradients`); empty if the parameters have no covariance."""
    recent: float = 0.0
    """Short-term decayed sum of (score - 0.5), see `workers.estimation.last_step`; 0 on a scale
    without a last step."""
    lasting: float = 0.0
    """Long-term decayed sum of the same."""

    @property
    def mastery(self) -> float:
        """P(known), in [0, 1]."""
        return probability(self.mantissa, self.exponent)


class SessionState(NamedTuple):
    """Counts and times of a practice session."""

    responses: int
    correct: int
    started_at_us: int
    ended_at_us: int

    def after(self, response: Response) -> "SessionState":
        """Return the session after one more answer; the order of answers does not matter."""
        return SessionState(
            self.responses + 1,
            self.correct + response.correct,
            min(self.started_at_us, response.answered_at_us),
            max(self.ended_at_us, response.answered_at_us),
        )


EMPTY_SESSION = SessionState(0, 0, 2**62, -(2**62))


@dataclass(slots=True)
class Learner:
    """State of a learner, whole or as far as a batch needs it.

    A concept, scale or session without an answer is absent, and so is one that was not loaded.

    Args:
        version: version that a commit compares; 0 before the first commit.
        last: position of the newest answer, None before the first.
        parameters_version: version of the parameters of the state.
        concepts: states of concepts by id.
        abilities: states of abilities by scale.
        sessions: states of sessions by id.
    """

    version: int = 0
    last: Position | None = None
    parameters_version: int = 1
    concepts: dict[str, ConceptState] = field(default_factory=dict)
    abilities: dict[str, AbilityState] = field(default_factory=dict)
    sessions: dict[str, SessionState] = field(default_factory=dict)


class ConceptOutcome(NamedTuple):
    """Effect of an answer on one concept."""

    concept_id: str
    mastery: float
    previous_mastery: float
    mastered: bool
    transition: str
    attempts: int
    probability_correct: float
    last_answered_at_us: int
    interval: tuple[float, float] | None = None
    """95 % credible interval of the mastery, each end in [0, 1]; None if unknown."""
    ability: "ScaleOutcome | None" = None
    """Ability of another scale that the answer changed, if this concept's event carries it."""


class AbilityOutcome(NamedTuple):
    """Effect of an answer on the ability of its scale."""

    estimate: AbilityEstimate
    previous_theta: float
    person_fit: float | None = None
    """Person fit after the answer, see `workers.estimation.person_fit.person_fit`."""


class ScaleOutcome(NamedTuple):
    """Effect of an answer on the ability of another scale."""

    scale: str
    ability: AbilityOutcome


class Outcome(NamedTuple):
    """Effect of one applied answer, with the prediction made before it was seen."""

    concepts: tuple[ConceptOutcome, ...]
    """First the answer's concepts in its order, then other concepts whose current value changed."""
    ability: AbilityOutcome
    session: SessionState | None
    parameters_version: int
    probability_correct: float
    """Expected score of the answer before it was seen, in [0, 1]. The concepts hold the expected
    scores by each concept alone."""
