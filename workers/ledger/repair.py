"""Rewriting a learner's stored state, and the protocols of those who do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from workers.estimation.learner import LearnerKey, Position
from workers.estimation.snapshots import Snapshot
from workers.ledger.audit import AuditLedger
from workers.ledger.corrections import Correction
from workers.ledger.outbox import Change
from workers.ledger.rows import AbilityRow, ConceptRow, SessionRow, Stored


@dataclass(slots=True)
class Rewrite:
    """The rows that replace a learner's stored state, if its version is still the expected one.

    The ledger gives the new version; all rows written take it.

    Args:
        key: the learner.
        version: the expected version; 0 if the learner has no row yet.
        last: position of the newest response that counts; None if none counts.
        parameters_version: the parameters of the replay.
        correction_count: number of corrections of this learner afterwards.
        recount: True to count the learner's responses anew.
        corrections: corrections to append.
        concepts: rows of `concept_mastery` to write; other rows stay.
        abilities: rows of `student_ability` to write; other rows stay.
        sessions: rows of `practice_sessions` to write; other rows stay.
        gone_concepts: concepts whose rows are deleted.
        gone_scales: scales whose rows are deleted.
        gone_sessions: sessions whose rows are deleted.
        changes: changes to publish.
        kept: counts of the newest windows; None leaves them as they are.
        snapshots: snapshots under the parameters; they replace those at and after `changed_from`.
        changed_from: position from which on states changed; None: all of them may have.
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
    snapshots: list[Snapshot] = field(default_factory=list)
    changed_from: Position | None = None


@dataclass(frozen=True, slots=True)
class ItemSpan:
    """Responses to one item, answered within a span of time.

    Args:
        tenant_id: the tenant of the learners.
        item_id: the item.
        since_us: the first moment, microseconds since 1970; None for no lower bound.
        until_us: the first moment after the span; None for no upper bound.
    """

    tenant_id: str
    item_id: str
    since_us: int | None = None
    until_us: int | None = None


class ItemResponses(NamedTuple):
    """Responses to an item, from one page of learners."""

    responses: list[tuple[LearnerKey, str]]
    """Learner and response id."""
    last: LearnerKey | None
    """The last learner of the page; None if there are no more."""


class RepairLedger(AuditLedger, Protocol):
    """Replaces stored states."""

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        """Replace stored states, in one transaction.

        Repeating a call with an unknown result is safe: it then is a conflict.

        Returns:
            The new version for each rewrite; None for a conflict.
        """
        ...

    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        """Give a checksum to each row that has none.

        Args:
            audited: learners as they were read; one of another version by now is a conflict.
            accept: True to seal altered rows of the log too, as right.

        Returns:
            The number of rows sealed for each learner; None for a conflict.
        """
        ...


class CorrectionLedger(RepairLedger, Protocol):
    """Finds the responses that a correction is about."""

    async def answers(
        self, span: ItemSpan, after: LearnerKey | None = None, limit: int = 500
    ) -> ItemResponses:
        """List the responses to an item, from the next learners of its tenant by their keys."""
        ...
