"""The curriculum of the demo students: the concepts of `mastery demo`, prerequisites and items."""

from collections.abc import Mapping
from typing import Any, Final

from workers.demo.curriculum import CONCEPTS, SCALE
from workers.dev.questions import question
from workers.ledger.concept_map import Concept, Item
from workers.operations.concept_map.file import MapFile

ITEMS_PER_CONCEPT: Final = 8

PREREQUISITES: Final[Mapping[str, tuple[str, ...]]] = {
    "numbers.negative": ("numbers.place-value",),
    "numbers.order-of-operations": ("numbers.negative",),
    "fractions.equivalent": ("numbers.place-value",),
    "fractions.add": ("fractions.equivalent",),
    "fractions.multiply": ("fractions.equivalent",),
    "decimals.round": ("numbers.place-value",),
    "percent.of-amount": ("decimals.round", "fractions.multiply"),
    "ratio.share": ("fractions.equivalent",),
    "algebra.simplify": ("numbers.negative",),
    "algebra.equation": ("algebra.simplify", "numbers.order-of-operations"),
    "geometry.area": ("fractions.multiply",),
}
"""Concepts to master before a concept, in the order of their ids."""


def item_ids(concept_id: str) -> list[str]:
    """Return the items of a concept, which the simulated class of `mastery demo` answers too."""
    return [f"{concept_id}/{number:02d}" for number in range(1, ITEMS_PER_CONCEPT + 1)]


def concept_map() -> MapFile:
    """Return the curriculum as a concept map to import."""
    return MapFile(
        [Concept(id_, title, SCALE, PREREQUISITES.get(id_, ())) for id_, title in CONCEPTS],
        [Item(item, (id_,), SCALE) for id_, _ in CONCEPTS for item in item_ids(id_)],
        [],
    )


def curriculum_document() -> dict[str, Any]:
    """Return the curriculum with questions, as JSON values."""
    items = []
    for concept_id, _ in CONCEPTS:
        for number, item_id in enumerate(item_ids(concept_id), start=1):
            text, answer, choices = question(concept_id, number)
            items.append(
                {
                    "id": item_id,
                    "concept_ids": [concept_id],
                    "scale": SCALE,
                    "question": text,
                    "choices": choices,
                    "answer": answer,
                }
            )
    return {
        "scale": SCALE,
        "concepts": [
            {"id": id_, "name": title, "prerequisites": PREREQUISITES.get(id_, ())}
            for id_, title in CONCEPTS
        ],
        "items": items,
    }
