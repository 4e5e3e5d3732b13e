"""Import a concept map: check it as a whole, and write it in one transaction."""

from dataclasses import dataclass, field
from pathlib import Path

from workers.ledger.concept_map import ConceptLedger, ConceptMap
from workers.operations.concept_map.checking import findings
from workers.operations.concept_map.file import MapFile, wrong


@dataclass(slots=True)
class Imported:
    """The changes of an import, made or planned.

    Args:
        version: the version of the map afterwards.
        added_concepts, changed_concepts, same_concepts: ids.
        added_items, changed_items, same_items: ids.
        prerequisites: pairs (prerequisite, concept) that were added.
        removed: such pairs that were removed.
    """

    version: int = 0
    added_concepts: list[str] = field(default_factory=list)
    changed_concepts: list[str] = field(default_factory=list)
    same_concepts: list[str] = field(default_factory=list)
    added_items: list[str] = field(default_factory=list)
    changed_items: list[str] = field(default_factory=list)
    same_items: list[str] = field(default_factory=list)
    prerequisites: list[tuple[str, str]] = field(default_factory=list)
    removed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def different(self) -> bool:
        """True if the map differed from the file."""
        changed = self.changed_concepts or self.changed_items
        return bool(self.added_concepts or self.added_items or changed)


class Importer:
    """Imports concept maps; safe beside other imports, and safe to repeat.

    Args:
        ledger: the system of record.
        tenant_id: the tenant of the map.
    """

    def __init__(self, ledger: ConceptLedger, tenant_id: str) -> None:
        self._ledger = ledger
        self._tenant_id = tenant_id

    async def run(self, path: Path, file: MapFile, *, dry_run: bool = False) -> Imported:
        """Check a file against the registered map, and write the differences.

        Args:
            path: for messages.
            file: the content of the file.
            dry_run: only check and compare.

        Raises:
            InputFileError: it names something unknown or closes a cycle; nothing was written.
            LedgerUnavailable: try again.
        """
        while True:
            registered = await self._ledger.concept_map(
                self._tenant_id, [item.item_id for item in file.items]
            )
            if problems := findings(file, registered):
                raise wrong(path, problems)
            imported, part = compared(file, registered)
            if dry_run or not imported.different:
                return imported
            version = await self._ledger.import_concepts(self._tenant_id, part)
            if version is not None:
                imported.version = version
                return imported
            # Another import came in between: check everything again.


def compared(file: MapFile, registered: ConceptMap) -> tuple[Imported, ConceptMap]:
    """Return the differences from the registered map, and the part of the file with them."""
    imported, part = Imported(registered.version), ConceptMap(registered.version)
    for concept in file.concepts:
        name = concept.concept_id
        was = registered.concepts.get(name)
        if was == concept:
            imported.same_concepts.append(name)
            continue
        (imported.changed_concepts if was else imported.added_concepts).append(name)
        part.concepts[name] = concept
        before = {*was.prerequisites} if was else set()
        now = {*concept.prerequisites}
        imported.prerequisites += [(prerequisite, name) for prerequisite in sorted(now - before)]
        imported.removed += [(prerequisite, name) for prerequisite in sorted(before - now)]
    for item in file.items:
        known = registered.items.get(item.item_id)
        if known == item:
            imported.same_items.append(item.item_id)
            continue
        (imported.changed_items if known else imported.added_items).append(item.item_id)
        part.items[item.item_id] = item
    return imported, part
