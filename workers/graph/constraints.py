"""Check the constraints of a Neo4j database: find missing ones and those that refuse a merge."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

LABELS: Final = ("Student", "Concept", "Scale", "PracticeSession")
RELATIONSHIPS: Final = (
    "HAS_MASTERY",
    "HAS_ABILITY",
    "ATTENDED",
    "PRACTISED",
    "UNLOCKED",
    "PREREQUISITE_OF",
)

_IDENTITY: Final = {"tenant_id", "id"}


def missing(constraints: Iterable[dict[str, Any]]) -> list[str]:
    """Name the missing constraints, each in a sentence with its remedy.

    Args:
        constraints: rows of ``cypher/show_constraints.cypher``.
    """
    rows = list(constraints)
    return [
        f"the graph has no constraint that makes (tenant_id, id) of {label} unique: start "
        "`mastery worker`, which creates it; if that does not help, drop the constraint or index "
        "that has its name or its properties"
        for label in LABELS
        if not any(_is_identity_of(label, row) for row in rows)
    ]


def foreign(constraints: Iterable[dict[str, Any]]) -> list[str]:
    """Name foreign constraints that can refuse a merge, each in a sentence with its remedy.

    Args:
        constraints: rows of ``cypher/show_constraints.cypher``.
    """
    return [
        f"the constraint {row['name']} on {row['labelsOrTypes'][0]} ({row['type']} of "
        f"{', '.join(row['properties'])}) can refuse what the engine merges: remove it with "
        f"DROP CONSTRAINT `{row['name']}`"
        for row in constraints
        if _can_refuse(row["labelsOrTypes"][0], row["type"], row["properties"])
    ]


def _is_identity_of(label: str, row: dict[str, Any]) -> bool:
    return (
        row["labelsOrTypes"] == [label]
        and row["type"].endswith(("UNIQUENESS", "KEY"))
        and set(row["properties"]) == _IDENTITY
    )


def _can_refuse(owner: str, kind: str, properties: Sequence[str]) -> bool:
    if "TYPE" in kind:
        return False  # a value of ours never changes its type
    if owner in RELATIONSHIPS:
        # Prerequisites have no properties to compare.
        return owner != "PREREQUISITE_OF" or not kind.endswith("UNIQUENESS")
    if owner not in LABELS or set(properties) == _IDENTITY:
        return False
    if kind.endswith("UNIQUENESS"):
        # A property that we never set has no values to compare.
        ours = _IDENTITY | ({"name"} if owner == "Concept" else set())
        return set(properties) <= ours and not set(properties) >= _IDENTITY
    # A key or an existence constraint also requires properties that we never set.
    return not (kind.endswith("EXISTENCE") and set(properties) < _IDENTITY)
