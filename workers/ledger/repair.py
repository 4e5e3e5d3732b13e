"""What audit and repair ask of the system of record, beyond what the engine asks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from workers.estimation.learner import LearnerKey, Position
from workers.ledger.calibration import CalibrationLedger
from workers.ledger.corrections import Correction
from workers.ledger.parameters import ParametersLedger
from workers.ledger.protocol import Ledger
from workers.ledger.rows import AbilityRow, ConceptRow, SessionRow, Stored


class Change(NamedTuple):
    """A change of a concept's mastery that subscribers are to be told."""

    concept_id: str
    data: dict[str, Any]
    """`contracts.mastery.MasteryData` without its version, which the ledger gives."""


class Untold(NamedTuple):
    """A change that was stored and not told yet."""

    number: int
    key: LearnerKey
    version: int
    written_at_us: int
    change: Change


class Answers(NamedTuple):
    """A page of learners, and which of their responses are to an item."""

    found: list[tuple[LearnerKey, str]]
    """Learner and response id."""
    last: LearnerKey | None
    """The last learner looked at; None: there are no more."""


@dataclass(frozen=True, slots=True)
class ItemSpan:
    """Responses to one item, answered within a span of time.

    Args:
        tenant_id: whose learners.
        item_id: the item.
        since_us: from this moment on, microseconds since 1970; None: from the first.
        until_us: before this moment; None: to the last.
    """

    tenant_id: str
    item_id: str
    since_us: int | None = None
    until_us: int | None = None


@dataclass(slots=True)
class Rewrite:
    """What is to replace a learner's stored state, if its version is still the expected one.

    The versions of the rows are the ledger's to give: all take the one new version.

    Args:
        key: who.
        version: the expected one; 0 where there is no such learner yet.
        last: position of the newest response that counts; None where none does.
        parameters_version: under which it was replayed.
        correction_count: corrections of this learner afterwards.
        recount: whether the learner's responses are to be counted anew.
        corrections: those to append.
        concepts, abilities, sessions: rows to write; the others stay as they are.
        gone_concepts, gone_scales, gone_sessions: rows to delete.
        changes: what subscribers are to be told.
        kept: the counts of the newest windows; None: they stay as they are.
    """

    key: LearnerKey
    version: int
    last: Position | None
    parameters_version: int
    correction_count: int
    recount: bool = False
    corrections: list[Correction] = field(default_factory=list)
    concepts: list[ConceptRow] = field(default_factory=list)
    abilities: list[AbilityRow] = field(default_factory=list)
    sessions: list[SessionRow] = field(default_factory=list)
    gone_concepts: list[str] = field(default_factory=list)
    gone_scales: list[str] = field(default_factory=list)
    gone_sessions: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    kept: dict[int, int] | None = None


class AuditLedger(Protocol):
    """What verifying and rebuilding alone ask of it; see `RepairLedger` and `Ledger`."""

    async def holders(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """See `RepairLedger.holders`."""
        ...

    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """See `Ledger.learners`."""
        ...

    async def sample(self, count: int) -> list[LearnerKey]:
        """See `RepairLedger.sample`."""
        ...

    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        """See `Ledger.stored`."""
        ...

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        """See `RepairLedger.rewrite`."""
        ...

    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        """See `RepairLedger.seal`."""
        ...


class RepairLedger(Ledger, ParametersLedger, CalibrationLedger, Protocol):
    """The system of record for those who audit, correct and repair."""

    async def holders(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """A page of all who have a row in any table, a learner's or nobody's, by their keys."""
        ...

    async def sample(self, count: int) -> list[LearnerKey]:
        """So many learners drawn at random; all of them if there are no more."""
        ...

    async def count(self) -> int:
        """How many learners there are."""
        ...

    async def answers(
        self, span: ItemSpan, after: LearnerKey | None = None, limit: int = 500
    ) -> Answers:
        """The responses to an item, of the next learners of its tenant by their keys."""
        ...

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        """Replace what is current, in one transaction; the new versions, None for a conflict.

        Repeating a call whose outcome is unknown is safe: it then is a conflict.
        """
        ...

    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        """Give a checksum to rows that have none; how many, None for a conflict.

        Args:
            audited: learners as they were read; one of another version by now is a conflict.
            accept: also to altered rows of the log, which says that they are right as they are.
        """
        ...

    async def untold(self, limit: int = 500, lease_s: float = 30.0) -> list[Untold]:
        """Take changes that are to be told, the oldest first.

        Args:
            limit: at most so many.
            lease_s: after so many seconds another caller gets those that were not forgotten.
        """
        ...

    async def told(self, numbers: Sequence[int]) -> None:
        """Forget changes that were told."""
        ...
