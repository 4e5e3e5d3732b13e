"""Messages between the engine and the ledger."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from workers.common.rate_limit import Counts
from workers.estimation.fold import Folded
from workers.estimation.learner import Learner, LearnerKey, Position, Response
from workers.estimation.snapshots import Snapshot
from workers.ledger.outcomes import outcome_document

MOST_ANSWERS: Final = 5_000
"""Stored answers that one load returns, to bound its time, the worker's memory and the replay."""
MOST_REPLAYED: Final = 100
"""Stored answers that one load returns of learners whose answers are all in order.

They are under other parameters than the active ones. Whoever does not fit may stay so for a while,
so that an activation does not stop a batch: 2 to 10 ms are spent on it.
"""


FEW_STATES: Final = 32
"""A learner with at most so many concepts, and scales, is loaded whole."""


class Arrival(NamedTuple):
    """The arrival of a response, which decides rate limits and erasures."""

    entered_ms: int
    """Time of the entry that owns it, from its entry id; milliseconds since 1970."""
    window: int | None
    """Start of the rate window it counts in, seconds since 1970; None if it is not counted."""


class Erasure(NamedTuple):
    """The erasure of a learner."""

    until_ms: int
    """Entries up to this moment are erased too; milliseconds since 1970."""
    refuse: bool
    """True if later entries are refused."""
    unfinished: bool = False
    """True while rows of the learner are left, so that nothing can be committed."""


@dataclass(slots=True)
class Touched:
    """A learner, and the responses of a batch that are new to it.

    Args:
        key: the learner.
        responses: the responses to apply.
        parameters_version: the caller's version; the ledger itself goes by the active one.
        arrivals: one per response; None leaves rates and erasures out of the answer.
    """

    key: LearnerKey
    responses: list[Response]
    parameters_version: int = 1
    arrivals: list[Arrival] | None = None


class Recorded(NamedTuple):
    """A response of the log, with its stored outcome."""

    response: Response
    version: int
    entry: str
    """Stream and id of the entry that owns it: only its acknowledgement publishes events."""
    outcome: dict[str, Any]
    """The document that `workers.ledger.outcomes.outcome_document` writes."""


@dataclass(slots=True)
class StoredLog:
    """The end of a learner's log that has to be replayed.

    Args:
        base: the nearest snapshot under the active parameters before the first new response; None:
            the log is replayed from the beginning.
        answers: the responses after the snapshot that count, with the score that counts; None: they
            are too many for this answer.
    """

    base: Snapshot | None = None
    answers: list[Response] | None = None


class LogPage(NamedTuple):
    """Some responses of a learner's log that count, in the learner's order."""

    version: int
    """The learner's version at that moment."""
    answers: list[Response]
    """The responses, with the score that counts."""
    last: Position | None
    """Position up to which the page reaches; None: the log ends with it."""


@dataclass(slots=True)
class Loaded:
    """A learner's stored state, in one snapshot.

    Args:
        learner: the touched concepts, scales and sessions; all concepts and scales if they are few
            or the log has to be replayed.
        recorded: touched responses that are in the log already, by response id.
        replay: what has to be replayed, because a touched response is new, and late or to a state
            under other parameters than the active ones; None: nothing.
        responses: number of responses in the log; None if they were never counted.
        kept: number of responses in each of the newest rate windows
            (`workers.common.rate_limit`).
        older: number of responses in the touched windows that are older.
        erasure: the learner's erasure, if there was one.
        active_version: version of the active parameters; 1 is the built-in one.
        whole: True if a concept or scale that is missing has no answer.
        from_cache: True if the ledger was not asked: `recorded` and `erasure` are not known.
        after: the commit that made this state and is not answered yet; None: the state is stored.
    """

    learner: Learner
    recorded: dict[str, Recorded] = field(default_factory=dict)
    replay: StoredLog | None = None
    responses: int | None = 0
    kept: dict[int, int] = field(default_factory=dict)
    older: dict[int, int] = field(default_factory=dict)
    erasure: Erasure | None = None
    active_version: int = 1
    whole: bool = False
    from_cache: bool = False
    after: "Commit | None" = None

    @property
    def log(self) -> list[Response] | None:
        """The answers that have to be replayed; None: none, or too many for one answer."""
        return None if self.replay is None else self.replay.answers

    @property
    def base(self) -> Snapshot | None:
        """The snapshot after which these answers come."""
        return None if self.replay is None else self.replay.base

    def late(self, responses: Iterable[Response]) -> bool:
        """Return True if a response that is not in the log sorts before the newest one there."""
        last = self.learner.last
        return last is not None and any(
            response.position < last and response.response_id not in self.recorded
            for response in responses
        )

    @property
    def erasing(self) -> bool:
        """True while the learner's erasure is not finished."""
        return self.erasure is not None and self.erasure.unfinished

    @property
    def counts(self) -> Counts:
        """Counts of responses by rate window."""
        return Counts(self.kept, self.older)


@dataclass(slots=True)
class Commit:
    """The new state of a learner, stored if its version is still the one it was folded from.

    Args:
        folded: the new state, and the new responses with their outcomes.
        entries: the owning entry of each response in ``folded.responses``.
        arrivals: one per response; None skips rate counts and the check for erasures.
        kept: the new counts of the newest rate windows; None leaves them as they are.
        snapshot: True to take a snapshot of the state after this commit.
        unchecked: True if a response may be in the log already; the learner then is a conflict.
        after: the commit, not answered yet, that makes the state this one was folded from.
        active_version: the active version as far as the caller knows, which another activation
            makes a conflict; None: the version that the state is under.
        version: the learner's version after this commit; None if it is not answered or a conflict.
        outcomes: the outcome document of each response, as it is stored and published.
    """

    folded: Folded
    entries: list[str]
    arrivals: list[Arrival] | None = None
    kept: dict[int, int] | None = None
    snapshot: bool = False
    unchecked: bool = False
    after: "Commit | None" = None
    active_version: int | None = None
    version: int | None = None
    outcomes: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.outcomes = [
            outcome_document(response, outcome)
            for response, outcome in zip(self.folded.responses, self.folded.outcomes, strict=True)
        ]
        for outcome, arrival in zip(self.outcomes, self.arrivals or (), strict=False):
            if arrival.window is not None:
                outcome["window"] = arrival.window

    def follow(self) -> bool:
        """Take the version that the commit before made; return False if it made none so far."""
        if self.after is not None:
            if self.after.version is None:
                return False
            self.folded.learner.version = self.after.version
            self.after = None
        return True

    @property
    def parameters_version(self) -> int:
        """The version of the parameters that the state is under."""
        return self.folded.learner.parameters_version

    @property
    def taken_as_active(self) -> int:
        """The version that has to be active, or the commit is a conflict."""
        return self.active_version or self.parameters_version

    @property
    def touched(self) -> Touched:
        """The request that loads this learner again."""
        folded = self.folded
        return Touched(
            folded.key, folded.responses, folded.learner.parameters_version, self.arrivals
        )


class Conflict(NamedTuple):
    """A commit that was not applied: the learner has to be loaded again."""


@dataclass(slots=True)
class Committed:
    """A commit that was applied."""

    versions: list[int]
    """The version that each response took, in the learner's order."""
