"""What the engine asks of the system of record; every adapter answers alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from workers.common.rate_limit import Counts
from workers.estimation.ability import AbilityState
from workers.estimation.fold import Folded
from workers.estimation.learner import ConceptState, Learner, LearnerKey, Position, Response
from workers.ledger.corrections import Altered, CorrectionRow
from workers.ledger.outcomes import outcome_document

if TYPE_CHECKING:
    from workers.ledger.current import Current  # which needs `Recorded` of this module


class Arrival(NamedTuple):
    """How a response came: what rates and erasures are judged by."""

    entered_ms: int
    """When the entry that owns it entered its stream, by its own id; milliseconds since 1970."""
    window: int | None
    """Beginning of the window in which it counts, seconds since 1970; None: it counts nowhere."""


class Erasure(NamedTuple):
    """A learner was erased."""

    until_ms: int
    """What entered its stream up to then is erased too; milliseconds since 1970."""
    refuse: bool
    """Whether what entered later is refused."""


@dataclass(slots=True)
class Touched:
    """A learner and what a batch touches of it.

    Args:
        key: who.
        responses: about to be applied.
        parameters_version: of who asks; the ledger goes by the active version, whatever it is.
        arrivals: of each response how it came; None: rates and erasures are not asked for.
    """

    key: LearnerKey
    responses: list[Response]
    parameters_version: int = 1
    arrivals: list[Arrival] | None = None


class Recorded(NamedTuple):
    """A response that is in the log already, with the outcome stored beside it."""

    response: Response
    version: int
    entry: str
    """Stream and id of the entry that owns it: only its acknowledgement publishes."""
    outcome: dict[str, Any]
    """As `workers.ledger.outcomes` writes it."""


@dataclass(slots=True)
class Loaded:
    """What is stored of a learner, in one snapshot.

    Args:
        learner: the concepts, scales and sessions touched; all of them where a log is given.
        recorded: those of the responses asked for that are in the log, by response id.
        log: all responses of the learner that count, as they count now; given when one asked for
            is new, and late or the state under other parameters than the active ones.
        kept: how many responses were counted in each of the newest windows
            (`workers.common.rate_limit`).
        older: the same of those asked for that are older.
        erasure: that the learner was erased, if so.
        active_version: of the parameters under which the state is wanted.
    """

    learner: Learner
    recorded: dict[str, Recorded] = field(default_factory=dict)
    log: list[Response] | None = None
    kept: dict[int, int] = field(default_factory=dict)
    older: dict[int, int] = field(default_factory=dict)
    erasure: Erasure | None = None
    active_version: int | None = None

    @property
    def counts(self) -> Counts:
        """What was counted, by window."""
        return Counts(self.kept, self.older)


@dataclass(slots=True)
class Commit:
    """What is to be stored of one learner, if its version is still the one folded from.

    Args:
        folded: the new state and the new responses with their outcomes.
        entries: of each response in ``folded.responses`` the entry that owns it.
        arrivals: of each response how it came; None: nothing is counted, no erasure heeded.
        kept: the counts that are to be kept from now on; None: as they are.
        outcomes: of each response its outcome, as it is stored and published.
    """

    folded: Folded
    entries: list[str]
    arrivals: list[Arrival] | None = None
    kept: dict[int, int] | None = None
    outcomes: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.outcomes = [
            outcome_document(response, outcome)
            for response, outcome in zip(self.folded.responses, self.folded.outcomes, strict=True)
        ]
        for outcome, arrival in zip(self.outcomes, self.arrivals or (), strict=False):
            if arrival.window is not None:
                outcome["window"] = arrival.window

    @property
    def touched(self) -> Touched:
        """What it touches, for whoever has to load it again."""
        folded = self.folded
        return Touched(
            folded.key, folded.responses, folded.learner.parameters_version, self.arrivals
        )


@dataclass(slots=True)
class Committed:
    """The commit was applied: the version that each response took, in the learner's order."""

    versions: list[int]


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


class Ledger(Protocol):
    """The system of record. Every method raises `LedgerUnavailable` or `LedgerRefused`."""

    async def load(self, touched: Sequence[Touched]) -> list[Loaded]:
        """What is stored of these learners, in the same order; one round trip, one snapshot."""
        ...

    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Loaded]:
        """Store what is current, in one transaction; of a conflict the state as it is now.

        What was computed under other parameters than the active ones is a conflict, all of it.
        Repeating a commit whose outcome is unknown is safe: it then is a conflict in which the
        responses are recorded.
        """
        ...

    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """A page of all learners, in the order of their keys."""
        ...

    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        """Everything stored of these learners, in the same order."""
        ...

    async def current(
        self, keys: Sequence[LearnerKey], since_us: int | None = None
    ) -> "list[Current]":
        """What is current of these learners; those without any response are left out.

        Args:
            keys: the learners.
            since_us: only those with a response recorded at or after it, by the clock of
                `clock_us`; microseconds since 1970.
        """
        ...

    async def clock_us(self) -> int:
        """The ledger's own time, microseconds since 1970."""
        ...

    async def ping(self) -> None:
        """Return if the ledger answers and has the schema this version needs."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
