"""What a tenant has registered: its concepts, what has to be known before what, and its items."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Concept(NamedTuple):
    """A registered concept."""

    concept_id: str
    name: str
    scale: str
    """The ability scale that it belongs to."""
    prerequisites: tuple[str, ...] = ()
    """What has to be mastered before, in the order of their ids."""


class Item(NamedTuple):
    """A registered item."""

    item_id: str
    concept_ids: tuple[str, ...]
    """The concepts that it asks for, in the order of their ids; 1 to 16."""
    scale: str


@dataclass(slots=True)
class ConceptMap:
    """The map of one tenant, or a part of it.

    Args:
        version: raised by each import; 0: there is no map.
        concepts: by their ids.
        items: those that were asked for, by their ids.
    """

    version: int = 0
    concepts: dict[str, Concept] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)


class Name(NamedTuple):
    """A concept or an item of a tenant."""

    tenant_id: str
    id: str


class Registered(NamedTuple):
    """Concepts and items, by name."""

    concepts: frozenset[Name]
    items: frozenset[Name]


class ConceptLedger(Protocol):
    """The system of record for concept maps.

    Every method raises `LedgerUnavailable` or `LedgerRefused`.
    """

    async def concept_map(self, tenant_id: str, item_ids: Collection[str] = ()) -> ConceptMap:
        """All concepts of a tenant, and those of these items that are registered."""
        ...

    async def import_concepts(self, tenant_id: str, part: ConceptMap) -> int | None:
        """Write concepts and items, in one transaction; concepts and items not named stay.

        A concept has exactly the prerequisites that are given afterwards.

        Args:
            tenant_id: whose.
            part: what to write; `version` is that of the map against which it was checked.

        Returns:
            The new version of the map; None where it is another by now, and nothing was written.
        """
        ...

    async def registered(self, concepts: Iterable[Name], items: Iterable[Name]) -> Registered:
        """Those of these concepts and items that are registered."""
        ...

    async def mapped_tenants(self, after: str = "", limit: int = 500) -> list[str]:
        """A page of the tenants that have a map, in the order of their ids."""
        ...
