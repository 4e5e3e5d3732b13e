"""Concept maps: the concepts of a tenant, their prerequisites and its items."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Concept(NamedTuple):
    """A registered concept."""

    concept_id: str
    name: str
    scale: str
    """The ability scale of the concept."""
    prerequisites: tuple[str, ...] = ()
    """Concepts to master first, in the order of their ids."""


class Item(NamedTuple):
    """A registered item."""

    item_id: str
    concept_ids: tuple[str, ...]
    """The concepts that it practises, in the order of their ids; 1 to 16."""
    scale: str


@dataclass(slots=True)
class ConceptMap:
    """The map of a tenant, or a part of it.

    Args:
        version: raised by each import; 0 if the tenant has no map.
        concepts: concepts by id.
        items: the items asked for, by id.
    """

    version: int = 0
    concepts: dict[str, Concept] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)


class Name(NamedTuple):
    """The name of a concept or an item."""

    tenant_id: str
    id: str


class Registered(NamedTuple):
    """Registered concepts and items."""

    concepts: frozenset[Name]
    items: frozenset[Name]


class ConceptLedger(Protocol):
    """Reads and imports concept maps.

    Every method raises `LedgerUnavailable` or `LedgerRefused`.
    """

    async def concept_map(self, tenant_id: str, item_ids: Collection[str] = ()) -> ConceptMap:
        """Read all concepts of a tenant, and the registered ones of these items."""
        ...

    async def items(self, tenant_id: str, after: str = "", limit: int = 500) -> list[Item]:
        """List a page of the registered items of a tenant, in the order of their ids."""
        ...

    async def import_concepts(self, tenant_id: str, part: ConceptMap) -> int | None:
        """Write concepts and items, in one transaction; others stay as they are.

        The given prerequisites replace those that a concept had.

        Args:
            tenant_id: the tenant.
            part: concepts and items to write; its `version` is that of the map it was checked
                against.

        Returns:
            The new version of the map; None if the map has changed since, and nothing was written.
        """
        ...

    async def registered(self, concepts: Iterable[Name], items: Iterable[Name]) -> Registered:
        """Select the registered ones of these concepts and items."""
        ...

    async def mapped_tenants(self, after: str = "", limit: int = 500) -> list[str]:
        """List a page of the tenants that have a map, in the order of their ids."""
        ...
