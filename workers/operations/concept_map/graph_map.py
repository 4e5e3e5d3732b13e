"""Copy the ledger's concept map to the graph, for the concepts that are registered.

Concepts of other programs that are not registered stay as they are.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple, ParamSpec, TypeVar

from workers.common.retrying import Retrying
from workers.graph.concept_map import MappedConcept
from workers.graph.protocol import Graph
from workers.ledger.concept_map import ConceptLedger

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_TOGETHER = 1_000
"""Concepts compared and written at once."""


class MapDifference(NamedTuple):
    """A registered concept that differs between graph and ledger."""

    tenant_id: str
    in_graph: MappedConcept
    should: MappedConcept

    def __str__(self) -> str:
        """One line for a person."""
        return (
            f"concept {self.should.concept_id!r} of tenant {self.tenant_id!r}: the graph has "
            f"{_told(self.in_graph)}, the ledger {_told(self.should)}"
        )


class GraphMap:
    """Compares the graph's map with the ledger's and repairs it; safe beside imports.

    Args:
        ledger: the ledger, which is right.
        graph: the graph, prepared.
        retrying: waits for servers that are away.
        dry_run: compare only.
    """

    def __init__(
        self, *, ledger: ConceptLedger, graph: Graph, retrying: Retrying, dry_run: bool = False
    ) -> None:
        self._ledger = ledger
        self._graph = graph
        self._retrying = retrying
        self._dry_run = dry_run

    async def of(self, tenant_id: str | None) -> AsyncIterator[list[MapDifference]]:
        """Repair the map of a tenant; None: of all tenants, one after the other."""
        if tenant_id is not None:
            yield await self.of_tenant(tenant_id)
            return
        after = ""
        while page := await self._ask(self._ledger.mapped_tenants, after):
            for tenant in page:
                yield await self.of_tenant(tenant)
            after = page[-1]

    async def of_tenant(self, tenant_id: str) -> list[MapDifference]:
        """Repair the map of a tenant, and return the differences found.

        If an import comes in between, the map is compared again.
        """
        by_concept: dict[str, MapDifference] = {}
        while True:
            version, differences = await self._once(tenant_id)
            for difference in differences:
                by_concept.setdefault(difference.should.concept_id, difference)
            if self._dry_run:
                break
            if (await self._ask(self._ledger.concept_map, tenant_id)).version == version:
                break
        return list(by_concept.values())

    async def _once(self, tenant_id: str) -> tuple[int, list[MapDifference]]:
        registered = await self._ask(self._ledger.concept_map, tenant_id)
        should = [
            MappedConcept(concept.concept_id, concept.name, concept.prerequisites)
            for concept in registered.concepts.values()
        ]
        differences = []
        for first in range(0, len(should), _TOGETHER):
            some = should[first : first + _TOGETHER]
            in_graph = await self._ask(
                self._graph.mapped, tenant_id, [concept.concept_id for concept in some]
            )
            wrong = [
                MapDifference(tenant_id, is_, concept)
                for is_, concept in zip(in_graph, some, strict=True)
                if is_ != concept
            ]
            if wrong and not self._dry_run:
                await self._ask(
                    self._graph.merge_map, tenant_id, [difference.should for difference in wrong]
                )
            differences += wrong
        return registered.version, differences

    async def _ask(
        self,
        call: Callable[_Arguments, Awaitable[_Result]],
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Result:
        return await self._retrying.call(lambda: call(*arguments, **named))


def _told(concept: MappedConcept) -> str:
    before = ", ".join(map(repr, concept.prerequisites)) or "none"
    return f"name {concept.name!r}, prerequisites {before}"
