"""The protocol of a graph; all adapters answer alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from workers.estimation.learner import LearnerKey
from workers.graph.changes import AbilityChange, AttendanceChange, GraphChange, MasteryChange
from workers.graph.concept_map import MappedConcept
from workers.graph.repairs import Repair
from workers.graph.unlocking import Mastering, Unlocked


class SessionKey(NamedTuple):
    """A practice session of a tenant; students may share it."""

    tenant_id: str
    session_id: str


@dataclass(slots=True)
class StoredLearner:
    """A student's relationships, each list in the order of its ids."""

    key: LearnerKey
    mastery: list[MasteryChange] = field(default_factory=list)
    abilities: list[AbilityChange] = field(default_factory=list)
    attendance: list[AttendanceChange] = field(default_factory=list)
    unlocked: list[Unlocked] = field(default_factory=list)


@dataclass(slots=True)
class StoredSession:
    """The concepts practised in a session, in the order of their ids."""

    key: SessionKey
    concept_ids: list[str] = field(default_factory=list)


class Graph(Protocol):
    """A graph of students, concepts, scales and practice sessions.

    Every method raises `GraphUnavailable` if waiting helps, as after a deadlock, and `GraphRefused`
    if it does not. All methods may be repeated.
    """

    async def prepare(self) -> None:
        """Create missing constraints or tables that merging relies on."""
        ...

    async def merge(self, changes: Sequence[GraphChange]) -> None:
        """Merge changes in one transaction; repeats and older versions change nothing.

        Changes may come in any order, also several for one relationship.
        """
        ...

    async def project(
        self, changes: Sequence[GraphChange], mastering: Sequence[Mastering]
    ) -> list[Unlocked]:
        """Merge changes and record the concepts that they unlock, in one transaction.

        Args:
            changes: changes as `merge` takes them.
            mastering: the events among them that report a mastered concept, with their entries.

        Returns:
            The concepts that these entries unlock, in this call or in an earlier one.
        """
        ...

    async def restore(self, published: Sequence[Unlocked], *, dry_run: bool = False) -> int:
        """Record published unlocks that the graph has lost, if their student and concept exist.

        Returns:
            The number of unlocks recorded, or to be recorded if this is a `dry_run`.
        """
        ...

    async def mapped(self, tenant_id: str, concept_ids: Sequence[str]) -> list[MappedConcept]:
        """Read these concepts, in the same order."""
        ...

    async def merge_map(self, tenant_id: str, concepts: Sequence[MappedConcept]) -> None:
        """Replace names and prerequisites of concepts, in one transaction."""
        ...

    async def stored(
        self, after: LearnerKey | None = None, limit: int = 500
    ) -> list[StoredLearner]:
        """Read the next `limit` students, in the order of the graph; none at the end."""
        ...

    async def sessions(
        self, after: SessionKey | None = None, limit: int = 500
    ) -> list[StoredSession]:
        """Read the next `limit` practice sessions, in the order of the graph; none at the end."""
        ...

    async def students(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """List the keys of the next `limit` students, in the order of `stored`."""
        ...

    async def session_keys(
        self, after: SessionKey | None = None, limit: int = 500
    ) -> list[SessionKey]:
        """List the keys of the next `limit` practice sessions, in the order of `sessions`."""
        ...

    async def learners(self, keys: Sequence[LearnerKey]) -> list[StoredLearner]:
        """Read these students, in the same order; unknown ones have no relationships."""
        ...

    async def practised(self, keys: Sequence[SessionKey]) -> list[StoredSession]:
        """Read these practice sessions, in the same order; unknown ones have no concepts."""
        ...

    async def attendees(self, keys: Sequence[SessionKey]) -> dict[SessionKey, list[LearnerKey]]:
        """List the students who attended each of these practice sessions."""
        ...

    async def alone_students(self, keys: Sequence[LearnerKey]) -> list[LearnerKey]:
        """Select the students that exist without any relationship."""
        ...

    async def alone_sessions(self, keys: Sequence[SessionKey]) -> list[SessionKey]:
        """Select the practice sessions that exist without any relationship."""
        ...

    async def repair(self, repair: Repair) -> None:
        """Remove relationships and merge others, in one transaction.

        Students and sessions are locked as merging locks them. A relationship that has changed
        since it was read stays, so the caller has to look again.
        """
        ...

    async def remove_students(self, keys: Sequence[LearnerKey]) -> None:
        """Remove the students that have no relationship, not even a foreign one."""
        ...

    async def remove_sessions(self, keys: Sequence[SessionKey]) -> None:
        """Remove the practice sessions that have no relationship, not even a foreign one."""
        ...

    async def knows(self, key: LearnerKey) -> bool:
        """Return True if the student has a node."""
        ...

    async def erase(self, key: LearnerKey, version: int) -> None:
        """Remove a student and the practice sessions that nobody else attended, in one transaction.

        Newer relationships stay, and with them the node.

        Args:
            key: the student.
            version: the highest version that is removed.
        """
        ...

    async def faults(self) -> list[str]:
        """List what prevents merging, each in a sentence with its remedy."""
        ...

    async def ping(self) -> None:
        """Return if the graph answers."""
        ...

    async def close(self) -> None:
        """Close all connections and files; a second call does nothing."""
        ...
