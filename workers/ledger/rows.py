"""Rows of the ledger, one learner's at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from workers.estimation.ability import AbilityState
from workers.estimation.learner import ConceptState, LearnerKey, Position, Response
from workers.ledger.corrections import Altered, CorrectionRow


class ConceptRow(NamedTuple):
    """A row of `concept_mastery`, of one learner."""

    concept_id: str
    mastery: float
    attempts: int
    mastered: bool
    answered_at_us: int
    version: int
    parameters_version: int
    odds_mantissa: float
    odds_exponent: int
    deviation: float = 0.0
    deviation_variance: float = 0.0
    gradient: tuple[float, ...] = ()
    recent: float = 0.0
    lasting: float = 0.0
    mastery_low: float | None = None
    """Lower end of the 95 % credible interval of the mastery; None where it is not known."""
    mastery_high: float | None = None

    @property
    def state(self) -> ConceptState:
        """The state that the row is of."""
        return ConceptState(
            self.odds_mantissa,
            self.odds_exponent,
            self.attempts,
            self.answered_at_us,
            self.deviation,
            self.deviation_variance,
            self.gradient,
            self.recent,
            self.lasting,
        )


class AbilityRow(NamedTuple):
    """A row of `student_ability`, of one learner."""

    scale: str
    theta: float
    standard_error: float
    responses: int
    version: int
    parameters_version: int
    score: float
    variance: float = 0.0
    """Above 0 on a calibrated scale, of whose state `theta` is the mean."""
    surprise: float = 0.0
    surprise_variance: float = 0.0

    @property
    def state(self) -> AbilityState:
        """The state that the row is of."""
        return ability_state(self.responses, self.score, self.theta, self[7:])


def ability_state(
    responses: int, score: float, theta: float, spread: Sequence[float | None]
) -> AbilityState:
    """The state of an ability whose estimate is theta.

    Args:
        responses: as in the state.
        score: as in the state.
        theta: of a calibrated scale its mean.
        spread: variance, surprise and its variance; None: 0. A schema of before has none of them.
    """
    variance, surprise, surprise_variance = (value or 0.0 for value in spread or (None,) * 3)
    mean = theta if variance else 0.0
    return AbilityState(responses, score, mean, variance, surprise, surprise_variance)


class SessionRow(NamedTuple):
    """A row of `practice_sessions`, of one learner."""

    session_id: str
    responses: int
    correct: int
    started_at_us: int
    ended_at_us: int
    version: int


@dataclass(slots=True)
class Stored:
    """Everything stored of a learner, in one snapshot, for those who audit or repair.

    Args:
        last: position of the newest response that counts.
        log: the responses that count, as they count now.
        responses: all responses, as they were published.
        corrections: all corrections.
        response_count: how many responses there are to be; None if they were never counted.
        correction_count: how many corrections there are to be.
        newest_version: the highest version of any row.
        altered: rows that are not what was written.
        unsealed: number of rows without a checksum, from before there were any.
        kept: the counts of the newest windows; None if nothing was ever counted.
        windows: how many responses of the log were counted in each window.
    """

    key: LearnerKey
    version: int
    last: Position | None
    parameters_version: int
    concepts: list[ConceptRow]
    abilities: list[AbilityRow]
    sessions: list[SessionRow]
    log: list[Response]
    responses: list[Response] = field(default_factory=list)
    corrections: list[CorrectionRow] = field(default_factory=list)
    response_count: int | None = None
    correction_count: int = 0
    newest_version: int = 0
    altered: list[Altered] = field(default_factory=list)
    unsealed: int = 0
    kept: dict[int, int] | None = None
    windows: dict[int, int] = field(default_factory=dict)
