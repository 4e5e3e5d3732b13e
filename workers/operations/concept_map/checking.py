"""Check a file against the registered map: unknown names and cycles. Pure."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from workers.ledger.concept_map import ConceptMap
from workers.operations.concept_map.file import Finding, MapFile, shown

_MOST_CYCLES = 10


def findings(file: MapFile, registered: ConceptMap) -> list[Finding]:
    """Return the reasons not to import a file: unknown names, or else cycles."""
    known = registered.concepts.keys() | {concept.concept_id for concept in file.concepts}
    unknown = [*_unknown(file, known)]
    return unknown or [*_cycles(file, registered)]


def _unknown(file: MapFile, known: set[str]) -> Iterator[Finding]:
    for number, concept in enumerate(file.concepts):
        for name in concept.prerequisites:
            if name not in known:
                yield Finding(
                    f"concepts[{number}].prerequisites",
                    f"of {shown(concept.concept_id)} has {shown(name)}, which is neither in "
                    "this file nor registered: add that concept, or remove it here",
                )
    for number, item in enumerate(file.items):
        for name in item.concept_ids:
            if name not in known:
                yield Finding(
                    f"items[{number}].concept_ids",
                    f"of {shown(item.item_id)} has {shown(name)}, which is neither in this "
                    "file nor registered: add that concept, or correct it here",
                )


def _cycles(file: MapFile, registered: ConceptMap) -> Iterator[Finding]:
    place = {concept.concept_id: number for number, concept in enumerate(file.concepts)}
    before = {
        concept.concept_id: {*concept.prerequisites} for concept in registered.concepts.values()
    }
    before |= {concept.concept_id: {*concept.prerequisites} for concept in file.concepts}
    for _ in range(_MOST_CYCLES):
        cycle = _cycle(before)
        if cycle is None:
            return
        # Begin at the first concept of the file; a cycle without any was written to the tables.
        start = min(cycle, key=lambda concept_id: (place.get(concept_id, len(place)), concept_id))
        at = cycle.index(start)
        ring = [*cycle[at:], *cycle[:at], start]
        outside = [concept_id for concept_id in cycle if concept_id not in place]
        registered_already = (
            f" ({', '.join(map(shown, outside))} registered already)" if outside else ""
        )
        where = f"concepts[{place[start]}].prerequisites" if start in place else "prerequisites"
        yield Finding(
            where,
            f"of {shown(start)} close a cycle, each a prerequisite of the next: "
            f"{' → '.join(map(shown, ring))}{registered_already}: remove one of these "
            "prerequisites",
        )
        # Cut, so that the next search finds another cycle.
        before[ring[1]].discard(ring[0])


def _cycle(before: Mapping[str, set[str]]) -> list[str] | None:
    """Return a cycle, each concept a prerequisite of the next; None if there is none."""
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        ring: list[str] = error.args[1]
        return ring[:-1]
    return None
