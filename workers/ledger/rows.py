"""Rows of the ledger, one learner's at a time."""

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from workers.estimation.ability import AbilityEstimate, AbilityState
from workers.estimation.learner import ConceptState, LearnerKey, Position, Response, SessionState
from workers.estimation.snapshots import Snapshot
from workers.ledger.corrections import Altered, CorrectionRow

Interval = tuple[float, float]
"""Lower and upper end."""


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
    """`concept_offset` of the state, logits."""
    deviation_variance: float = 0.0
    """`offset_variance` of the state."""
    gradient: tuple[float, ...] = ()
    recent: float = 0.0
    lasting: float = 0.0
    mastery_low: float | None = None
    """Lower end of the 95 % credible interval of the mastery; None if it is unknown."""
    mastery_high: float | None = None

    @classmethod
    def of(
        cls,
        concept_id: str,
        state: ConceptState,
        *,
        mastery: float,
        mastered: bool,
        interval: Interval | None,
        version: int,
        parameters_version: int,
    ) -> Self:
        """Make the row of a state."""
        low, high = interval or (None, None)
        return cls(
            concept_id=concept_id,
            mastery=mastery,
            attempts=state.attempts,
            mastered=mastered,
            answered_at_us=state.answered_at_us,
            version=version,
            parameters_version=parameters_version,
            odds_mantissa=state.mantissa,
            odds_exponent=state.exponent,
            deviation=state.concept_offset,
            deviation_variance=state.offset_variance,
            gradient=state.gradient,
            recent=state.recent,
            lasting=state.lasting,
            mastery_low=low,
            mastery_high=high,
        )

    @property
    def state(self) -> ConceptState:
        """The state that the row stores."""
        return ConceptState(
            mantissa=self.odds_mantissa,
            exponent=self.odds_exponent,
            attempts=self.attempts,
            answered_at_us=self.answered_at_us,
            concept_offset=self.deviation,
            offset_variance=self.deviation_variance,
            gradient=self.gradient,
            recent=self.recent,
            lasting=self.lasting,
        )

    @property
    def interval(self) -> Interval | None:
        """95 % credible interval of the mastery; None if it is unknown."""
        if self.mastery_low is None or self.mastery_high is None:
            return None
        return self.mastery_low, self.mastery_high


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
    """Above 0 on a calibrated scale, where `theta` is the mean of the state."""
    surprise: float = 0.0
    surprise_variance: float = 0.0

    @classmethod
    def of(
        cls,
        scale: str,
        state: AbilityState,
        estimate: AbilityEstimate,
        *,
        version: int,
        parameters_version: int,
    ) -> Self:
        """Make the row of a state."""
        return cls(
            scale=scale,
            theta=estimate.theta,
            standard_error=estimate.standard_error,
            responses=state.responses,
            version=version,
            parameters_version=parameters_version,
            score=state.score,
            variance=state.variance,
            surprise=state.surprise,
            surprise_variance=state.surprise_variance,
        )

    @property
    def state(self) -> AbilityState:
        """The state that the row stores."""
        return AbilityState(
            responses=self.responses,
            score=self.score,
            mean=self.theta if self.variance else 0.0,
            variance=self.variance,
            surprise=self.surprise,
            surprise_variance=self.surprise_variance,
        )


class SessionRow(NamedTuple):
    """A row of `practice_sessions`, of one learner."""

    session_id: str
    responses: int
    correct: int
    started_at_us: int
    ended_at_us: int
    version: int

    @classmethod
    def of(cls, session_id: str, state: SessionState, *, version: int) -> Self:
        """Make the row of a state."""
        return cls(session_id=session_id, **state._asdict(), version=version)

    @property
    def state(self) -> SessionState:
        """The state that the row stores."""
        return SessionState(
            responses=self.responses,
            correct=self.correct,
            started_at_us=self.started_at_us,
            ended_at_us=self.ended_at_us,
        )


class SnapshotRow(NamedTuple):
    """A row of `snapshots`, of one learner."""

    parameters_version: int
    snapshot: Snapshot


@dataclass(slots=True)
class AuditPage:
    """Some responses of a learner, with what the whole of them shows.

    Args:
        responses: the responses, as they were published.
        last: position up to which the page reaches; None: the log ends with it.
        newest_version: the highest version of any of the rows.
        altered: rows whose checksum does not match their columns.
        unsealed: number of rows without a checksum.
        windows: number of the responses that were counted in each window.
    """

    responses: list[Response] = field(default_factory=list)
    last: Position | None = None
    newest_version: int = 0
    altered: list[Altered] = field(default_factory=list)
    unsealed: int = 0
    windows: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class LogTotals:
    """Totals of the pages of a log, without the responses themselves.

    Args:
        responses: number of responses.
        corrected: the ids of corrected responses among them.
        newest_version, altered, unsealed, windows: see `AuditPage`.
    """

    responses: int = 0
    corrected: set[str] = field(default_factory=set)
    newest_version: int = 0
    altered: list[Altered] = field(default_factory=list)
    unsealed: int = 0
    windows: Counter[int] = field(default_factory=Counter)

    def add(self, page: AuditPage, corrected: AbstractSet[str]) -> None:
        """Count in a page.

        Args:
            page: the next page.
            corrected: the ids of all corrected responses.
        """
        self.responses += len(page.responses)
        self.corrected |= corrected & {response.response_id for response in page.responses}
        self.newest_version = max(self.newest_version, page.newest_version)
        self.altered += page.altered
        self.unsealed += page.unsealed
        self.windows.update(page.windows)


@dataclass(slots=True)
class Stored:
    """Everything stored about a learner, in one snapshot, for audit and repair.

    Args:
        key: the learner.
        version: the learner's version; 0 if the learner has no row.
        last: position of the newest response that counts.
        parameters_version: the parameters of the state.
        concepts: rows of `concept_mastery`.
        abilities: rows of `student_ability`.
        sessions: rows of `practice_sessions`.
        snapshots: rows of `snapshots`.
        log: the responses that count, with the score that counts.
        responses: all responses, as they were published.
        corrections: all corrections.
        response_count: expected number of responses; None if they were never counted.
        correction_count: expected number of corrections.
        newest_version: the highest version of any row.
        altered: rows whose checksum does not match their columns.
        unsealed: number of rows without a checksum.
        kept: counts of the newest windows; None if nothing was ever counted.
        windows: number of responses of the log that were counted in each window.
        left_out: True if `log`, `responses` and `windows` are left out.
        totals: what a log that is left out showed when it was read by pages; None: it was not read.
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
    snapshots: list[SnapshotRow] = field(default_factory=list)
    left_out: bool = False
    totals: LogTotals | None = None

    @property
    def responses_read(self) -> int:
        """Number of responses that were read, at once or by pages."""
        return len(self.responses) if self.totals is None else self.totals.responses

    @property
    def corrected_read(self) -> AbstractSet[str]:
        """Ids of responses that were read: all of them, or the corrected ones."""
        if self.totals is not None:
            return self.totals.corrected
        return {response.response_id for response in self.responses}

    def add_totals(self, totals: LogTotals) -> None:
        """Take over what the pages of the log showed."""
        self.totals = totals
        self.newest_version = max(self.newest_version, totals.newest_version)
        self.altered = [*self.altered, *totals.altered]
        self.unsealed += totals.unsealed
        self.windows = dict(totals.windows)
