"""Messages between the engine and the ledger."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workers.common.rate_limit import Counts
from workers.estimation.fold import Folded
from workers.estimation.learner import Learner, LearnerKey, Response
from workers.ledger.outcomes import outcome_document


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
