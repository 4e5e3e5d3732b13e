"""What the engine asks of a graph; every adapter answers alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from workers.estimation.learner import LearnerKey
from workers.graph.changes import AbilityChange, AttendanceChange, GraphChange, MasteryChange
from workers.graph.mapping import MappedConcept
from workers.graph.repairs import Repair
from workers.graph.unlocking import Mastering, Unlocked


class SessionKey(NamedTuple):
    """Which practice session of which tenant; students may share it."""

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

    Every method raises `GraphUnavailable` where waiting helps, a deadlock included, and
    `GraphRefused` where it does not. All of them may be repeated.
    """

    async def prepare(self) -> None:
        """Create the constraints or tables that merging relies on, where they are missing."""
        ...

    async def merge(self, changes: Sequence[GraphChange]) -> None:
        """Merge changes in one transaction; repeats and older versions change nothing.

        They may come in any order, several for one relationship included.
        """
        ...

    async def project(
        self, changes: Sequence[GraphChange], mastering: Sequence[Mastering]
    ) -> list[Unlocked]:
        """Merge changes, and note what they unlock, in one transaction.

        Args:
            changes: as `merge` takes them.
            mastering: the events among them that say that a concept is mastered, with their
                entries.

        Returns:
            What these entries unlock: by this call, or by an earlier one that was repeated.
        """
        ...

    async def restore(self, told: Sequence[Unlocked], *, dry_run: bool = False) -> int:
        """Note what was told before and is not noted, of students and concepts that are there.

        Returns how many there are, or with `dry_run` would be.
        """
        ...

    async def mapped(self, tenant_id: str, concept_ids: Sequence[str]) -> list[MappedConcept]:
        """These concepts in the same order, as the graph has them."""
        ...

    async def merge_map(self, tenant_id: str, concepts: Sequence[MappedConcept]) -> None:
        """Give concepts exactly these names and prerequisites, in one transaction."""
        ...

    async def stored(
        self, after: LearnerKey | None = None, limit: int = 500
    ) -> list[StoredLearner]:
        """The next `limit` students after one, in an order of the graph's own; none at the end."""
        ...

    async def sessions(
        self, after: SessionKey | None = None, limit: int = 500
    ) -> list[StoredSession]:
        """The next `limit` practice sessions after one, likewise."""
        ...

    async def students(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """The names of the next `limit` students after one, in the same order as `stored`."""
        ...

    async def session_keys(
        self, after: SessionKey | None = None, limit: int = 500
    ) -> list[SessionKey]:
        """The names of the next `limit` practice sessions after one, likewise."""
        ...

    async def learners(self, keys: Sequence[LearnerKey]) -> list[StoredLearner]:
        """These students in the same order, unknown ones without relationships."""
        ...

    async def practised(self, keys: Sequence[SessionKey]) -> list[StoredSession]:
        """These practice sessions in the same order, unknown ones without concepts."""
        ...

    async def attendees(self, keys: Sequence[SessionKey]) -> dict[SessionKey, list[LearnerKey]]:
        """Who attended these practice sessions."""
        ...

    async def alone_students(self, keys: Sequence[LearnerKey]) -> list[LearnerKey]:
        """Those of these students that are there without any relationship."""
        ...

    async def alone_sessions(self, keys: Sequence[SessionKey]) -> list[SessionKey]:
        """Those of these practice sessions that are there without any relationship."""
        ...

    async def repair(self, repair: Repair) -> None:
        """Take relationships away and merge others, in one transaction.

        The students and sessions are locked as merging locks them. What is not as it was read
        stays, so whoever repairs has to look again.
        """
        ...

    async def remove_students(self, keys: Sequence[LearnerKey]) -> None:
        """Remove those of these students that have no relationship, not even a foreign one."""
        ...

    async def remove_sessions(self, keys: Sequence[SessionKey]) -> None:
        """Remove those of these practice sessions that have no relationship, likewise."""
        ...

    async def knows(self, key: LearnerKey) -> bool:
        """Whether there is a node of this student."""
        ...

    async def erase(self, key: LearnerKey, version: int) -> None:
        """Remove a student, in one transaction, with the practice sessions nobody else attended.

        What was written since stays, and with it the node.

        Args:
            key: the student.
            version: no relationship of before has a higher one.
        """
        ...

    async def faults(self) -> list[str]:
        """What stands in the way of merging, each a sentence with its remedy; empty if nothing."""
        ...

    async def ping(self) -> None:
        """Return if the graph answers."""
        ...

    async def close(self) -> None:
        """Let go of all connections and files; a second call does nothing."""
        ...
