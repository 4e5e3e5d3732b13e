"""The unsettled entries of one learner in a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from workers.admission.verdicts import Admitted
from workers.engine.rate_limiting import Entries, LimitSplit
from workers.estimation.late_replay import LateReplay
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.parameters import Parameters
from workers.ledger.exchange import Loaded


@dataclass(slots=True)
class LearnerGroup:
    """The unsettled entries of one learner in a batch, by response.

    The first entry of a new response becomes its owner. Any entry of a recorded response may be
    its owner: each is compared with the log, and none with another entry.

    Args:
        key: the learner.
        entries: unsettled entries.
        over: entries over the rate limit, as long as `loaded` is current.
        later: further entries of the responses in `over`.
        loaded: what the ledger holds of the learner; None: it has to be loaded.
        replayed: a replay of a log that did not fit into `loaded`.
        parameters: the parameters of the stored state, under which the learner goes on for a while
            although others are active; None: the active ones.
        slow: True if loading the learner alone took too long.
    """

    key: LearnerKey
    entries: Entries = field(default_factory=dict)
    over: list[Admitted] = field(default_factory=list)
    later: Entries = field(default_factory=dict)
    loaded: Loaded | None = None
    replayed: LateReplay | None = None
    parameters: Parameters | None = None
    slow: bool = False

    @property
    def state(self) -> Loaded:
        """The state that the ledger stores of the learner.

        Raises:
            LookupError: the learner is not loaded.
        """
        if self.loaded is None:
            raise LookupError(f"{self.key} is not loaded")
        return self.loaded

    @property
    def fits(self) -> bool:
        """True if all that the fold needs is loaded or replayed."""
        if self.loaded is None:
            return False
        if self.parameters is not None:
            return True
        replay = self.loaded.replay
        return replay is None or replay.answers is not None or self.replayed is not None

    def set_apart(self, split: LimitSplit) -> None:
        """Set apart the entries over the rate limit."""
        self.entries, self.over, self.later = split

    def put_back(self) -> None:
        """Put back the entries set apart."""
        for admitted in reversed(self.over):
            name = admitted.response.response_id
            self.entries[name] = [admitted, *self.later.pop(name, [])]
        self.over = []

    def forget_state(self) -> None:
        """Forget what was loaded and replayed, so that the learner is loaded again."""
        self.put_back()
        self.loaded = self.replayed = self.parameters = None

    def responses(self) -> list[Response]:
        """Return each response as its first entry gives it."""
        return [entries[0].response for entries in self.entries.values()]


def grouped(admitted: Sequence[Admitted]) -> list[LearnerGroup]:
    """Group a batch by learner and response, in the order of its entries."""
    groups: dict[LearnerKey, LearnerGroup] = {}
    for admitted_entry in admitted:
        group = groups.setdefault(admitted_entry.key, LearnerGroup(admitted_entry.key))
        group.entries.setdefault(admitted_entry.response.response_id, []).append(admitted_entry)
    return list(groups.values())


def owner_name(stream: str, admitted: Admitted) -> str:
    """Return the name under which the ledger stores an entry as the owner of its response."""
    return f"{stream}/{admitted.entry.first_id}"
