"""Reads, merges and repairs that all graphs with Cypher share."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

from typing_extensions import override

from workers.estimation.learner import LearnerKey
from workers.graph import reading
from workers.graph.changes import GraphChange
from workers.graph.concept_map import MappedConcept, mapped, mapping
from workers.graph.protocol import Graph, SessionKey, StoredLearner, StoredSession
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


class CypherGraph(Graph, ABC):
    """The part of a graph that is the same on every server."""

    @abstractmethod
    async def _read(self, text: str, parameters: dict[str, Any]) -> list[Row]:
        """Run one statement and return its rows; times come as aware UTC."""

    @abstractmethod
    async def _together(self, work: Script[_Result]) -> _Result:
        """Run a script in one transaction and return its result."""

    def _merging(self, changes: Sequence[GraphChange]) -> list[Merge]:
        """Write the statements that merge changes."""
        return merges(changes)

    async def _write(self, work: Sequence[Merge]) -> None:
        await self._together(listed(work))

    @override
    async def merge(self, changes: Sequence[GraphChange]) -> None:
        await self._write(self._merging(changes))

    @override
    async def project(
        self, changes: Sequence[GraphChange], mastering: Sequence[Mastering]
    ) -> list[Unlocked]:
        # In a thread: a large batch would hold up the engine beside it.
        merging = await asyncio.to_thread(self._merging, changes)
        return await self._together(projection(merging, mastering))

    @override
    async def restore(self, published: Sequence[Unlocked], *, dry_run: bool = False) -> int:
        return await self._together(restoration(published, dry_run=dry_run))

    @override
    async def mapped(self, tenant_id: str, concept_ids: Sequence[str]) -> list[MappedConcept]:
        return await mapped(self._read, tenant_id, concept_ids)

    @override
    async def merge_map(self, tenant_id: str, concepts: Sequence[MappedConcept]) -> None:
        await self._write(mapping(tenant_id, concepts))

    @override
    async def repair(self, repair: Repair) -> None:
        await self._write(repairs(repair))

    @override
    async def stored(
        self, after: LearnerKey | None = None, limit: int = 500
    ) -> list[StoredLearner]:
        return await reading.learners(self._read, await self.students(after, limit))

    @override
    async def sessions(
        self, after: SessionKey | None = None, limit: int = 500
    ) -> list[StoredSession]:
        return await reading.practised(self._read, await self.session_keys(after, limit))

    @override
    async def students(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        return await reading.students(self._read, after, limit)

    @override
    async def session_keys(
        self, after: SessionKey | None = None, limit: int = 500
    ) -> list[SessionKey]:
        return await reading.session_keys(self._read, after, limit)

    @override
    async def learners(self, keys: Sequence[LearnerKey]) -> list[StoredLearner]:
        return await reading.learners(self._read, keys)

    @override
    async def practised(self, keys: Sequence[SessionKey]) -> list[StoredSession]:
        return await reading.practised(self._read, keys)

    @override
    async def attendees(self, keys: Sequence[SessionKey]) -> dict[SessionKey, list[LearnerKey]]:
        return await reading.attendees(self._read, keys)

    @override
    async def alone_students(self, keys: Sequence[LearnerKey]) -> list[LearnerKey]:
        return await reading.alone_students(self._read, keys) if keys else []

    @override
    async def alone_sessions(self, keys: Sequence[SessionKey]) -> list[SessionKey]:
        return await reading.alone_sessions(self._read, keys) if keys else []

    @override
    async def knows(self, key: LearnerKey) -> bool:
        return bool(await self._read(statement("knows_students"), {"rows": node_rows([key])}))

    @override
    async def erase(self, key: LearnerKey, version: int) -> None:
        await self._write(erasure(key, version))

    @override
    async def remove_students(self, keys: Sequence[LearnerKey]) -> None:
        await self._write(student_removals(keys))

    @override
    async def remove_sessions(self, keys: Sequence[SessionKey]) -> None:
        await self._write(session_removals(keys))
