"""What every graph that speaks Cypher does alike: reads, merges and repairs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

from workers.estimation.learner import LearnerKey
from workers.graph import reading
from workers.graph.changes import GraphChange
from workers.graph.mapping import MappedConcept, mapped, mapping
from workers.graph.protocol import SessionKey, StoredLearner, StoredSession
from workers.graph.repairs import (
    Repair,
    erasure,
    node_rows,
    repairs,
    session_removals,
    student_removals,
)
from workers.graph.scripts import Script, listed
from workers.graph.statements import Merge, Row, merges, statement
from workers.graph.unlocking import Mastering, Unlocked, projection, restoration

_Result = TypeVar("_Result")


class CypherGraph(ABC):
    """The part of `workers.graph.protocol.Graph` that is the same on every server."""

    @abstractmethod
    async def _read(self, text: str, parameters: dict[str, Any]) -> list[Row]:
        """Run one statement and return its rows; times come as aware UTC."""

    @abstractmethod
    async def _together(self, work: Script[_Result]) -> _Result:
        """Run a script in one transaction, and return what it returns."""

    async def _write(self, work: Sequence[Merge]) -> None:
        await self._together(listed(work))

    async def merge(self, changes: Sequence[GraphChange]) -> None:
        """Merge changes; see `workers.graph.protocol.Graph`."""
        await self._write(merges(changes))

    async def project(
        self, changes: Sequence[GraphChange], mastering: Sequence[Mastering]
    ) -> list[Unlocked]:
        """Merge changes, and tell what they unlock; see `workers.graph.protocol.Graph`."""
        return await self._together(projection(changes, mastering))

    async def restore(self, told: Sequence[Unlocked], *, dry_run: bool = False) -> int:
        """Note what was told; see `workers.graph.protocol.Graph`."""
        return await self._together(restoration(told, dry_run=dry_run))

    async def mapped(self, tenant_id: str, concept_ids: Sequence[str]) -> list[MappedConcept]:
        """Concepts of the map; see `workers.graph.protocol.Graph`."""
        return await mapped(self._read, tenant_id, concept_ids)

    async def merge_map(self, tenant_id: str, concepts: Sequence[MappedConcept]) -> None:
        """Write concepts of the map; see `workers.graph.protocol.Graph`."""
        await self._write(mapping(tenant_id, concepts))

    async def repair(self, repair: Repair) -> None:
        """Take away and merge; see `workers.graph.protocol.Graph`."""
        await self._write(repairs(repair))

    async def stored(
        self, after: LearnerKey | None = None, limit: int = 500
    ) -> list[StoredLearner]:
        """A page of students; see `workers.graph.protocol.Graph`."""
        return await reading.learners(self._read, await self.students(after, limit))

    async def sessions(
        self, after: SessionKey | None = None, limit: int = 500
    ) -> list[StoredSession]:
        """A page of practice sessions; see `workers.graph.protocol.Graph`."""
        return await reading.practised(self._read, await self.session_keys(after, limit))

    async def students(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """A page of students' names; see `workers.graph.protocol.Graph`."""
        return await reading.students(self._read, after, limit)

    async def session_keys(
        self, after: SessionKey | None = None, limit: int = 500
    ) -> list[SessionKey]:
        """A page of sessions' names; see `workers.graph.protocol.Graph`."""
        return await reading.session_keys(self._read, after, limit)

    async def learners(self, keys: Sequence[LearnerKey]) -> list[StoredLearner]:
        """These students; see `workers.graph.protocol.Graph`."""
        return await reading.learners(self._read, keys)

    async def practised(self, keys: Sequence[SessionKey]) -> list[StoredSession]:
        """These practice sessions; see `workers.graph.protocol.Graph`."""
        return await reading.practised(self._read, keys)

    async def attendees(self, keys: Sequence[SessionKey]) -> dict[SessionKey, list[LearnerKey]]:
        """Who attended; see `workers.graph.protocol.Graph`."""
        return await reading.attendees(self._read, keys)

    async def alone_students(self, keys: Sequence[LearnerKey]) -> list[LearnerKey]:
        """Nodes without relationships; see `workers.graph.protocol.Graph`."""
        return await reading.alone_students(self._read, keys) if keys else []

    async def alone_sessions(self, keys: Sequence[SessionKey]) -> list[SessionKey]:
        """Nodes without relationships; see `workers.graph.protocol.Graph`."""
        return await reading.alone_sessions(self._read, keys) if keys else []

    async def knows(self, key: LearnerKey) -> bool:
        """Whether there is a node; see `workers.graph.protocol.Graph`."""
        return bool(await self._read(statement("knows_students"), {"rows": node_rows([key])}))

    async def erase(self, key: LearnerKey, version: int) -> None:
        """Remove a student; see `workers.graph.protocol.Graph`."""
        await self._write(erasure(key, version))

    async def remove_students(self, keys: Sequence[LearnerKey]) -> None:
        """Remove what is alone; see `workers.graph.protocol.Graph`."""
        await self._write(student_removals(keys))

    async def remove_sessions(self, keys: Sequence[SessionKey]) -> None:
        """Remove what is alone; see `workers.graph.protocol.Graph`."""
        await self._write(session_removals(keys))
