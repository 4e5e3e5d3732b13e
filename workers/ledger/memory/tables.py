"""The tables of a ledger in memory."""

from itertools import count

from workers.estimation.learner import LearnerKey
from workers.ledger.concept_map import ConceptMap
from workers.ledger.exchange import Erasure
from workers.ledger.memory.accounts import Account
from workers.ledger.outbox import PendingChange
from workers.ledger.parameters import (
    BUILT_IN,
    BUILT_IN_PARAMETERS,
    Activation,
    StoredParameters,
)


class MemoryTables:
    """Everything that a ledger in memory stores."""

    def __init__(self) -> None:
        super().__init__()
        self._accounts: dict[LearnerKey, Account] = {}
        self._versions = count(1)
        """Versions of learners."""
        self._erasures: dict[LearnerKey, Erasure] = {}
        self._pending: dict[int, PendingChange] = {}
        self._taken_at: dict[int, float] = {}
        """Monotonic time at which a pending change was taken."""
        self._numbers = count(1)
        """Numbers of pending changes."""
        self._parameters: dict[int, StoredParameters] = {BUILT_IN: BUILT_IN_PARAMETERS}
        self._activation = Activation(BUILT_IN, None, None)
        self._maps: dict[str, ConceptMap] = {}
        self._stages: dict[tuple[str, str], tuple[float, str]] = {}
        """Monotonic time and document of a stage, by run and name."""
