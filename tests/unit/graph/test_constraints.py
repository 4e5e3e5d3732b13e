from typing import Any

import pytest

from workers.graph.constraints import LABELS, foreign, missing


def _constraint(owner: str, kind: str, *properties: str) -> dict[str, Any]:
    return {
        "name": "some name",
        "type": kind,
        "entityType": "NODE",
        "labelsOrTypes": [owner],
        "properties": list(properties),
    }


OURS = [_constraint(label, "UNIQUENESS", "tenant_id", "id") for label in LABELS]


@pytest.mark.parametrize("kind", ["UNIQUENESS", "NODE_PROPERTY_UNIQUENESS", "NODE_KEY"])
def test_given_our_constraints_under_any_name_then_none_is_missing(kind: str) -> None:
    rows = [_constraint(label, kind, "id", "tenant_id") for label in LABELS]

    assert missing(rows) == []
    assert foreign(rows) == []


@pytest.mark.parametrize("label", LABELS)
def test_given_a_label_without_its_constraint_then_it_is_named_with_remedy(label: str) -> None:
    rows = [row for row in OURS if row["labelsOrTypes"] != [label]]

    (sentence,) = missing([*rows, _constraint(label, "UNIQUENESS", "id")])

    assert label in sentence
    assert "mastery worker" in sentence


@pytest.mark.parametrize(
    ("owner", "kind", "properties"),
    [
        ("Concept", "UNIQUENESS", ["id"]),
        ("Student", "NODE_PROPERTY_UNIQUENESS", ["tenant_id"]),
        ("Scale", "NODE_KEY", ["id"]),
        ("Concept", "NODE_KEY", ["name"]),
        ("Concept", "NODE_PROPERTY_EXISTENCE", ["name"]),
        ("HAS_MASTERY", "RELATIONSHIP_UNIQUENESS", ["version"]),
        ("PREREQUISITE_OF", "RELATIONSHIP_PROPERTY_EXISTENCE", ["weight"]),
        ("UNLOCKED", "RELATIONSHIP_UNIQUENESS", ["at"]),
        ("Concept", "UNIQUENESS", ["name"]),
        ("Concept", "UNIQUENESS", ["tenant_id", "name"]),
        ("ATTENDED", "RELATIONSHIP_PROPERTY_EXISTENCE", ["since"]),
    ],
)
def test_given_a_constraint_that_refuses_our_merges_then_remedy_is_named(
    owner: str, kind: str, properties: list[str]
) -> None:
    (sentence,) = foreign([*OURS, _constraint(owner, kind, *properties)])

    assert owner in sentence
    assert "DROP CONSTRAINT `some name`" in sentence


@pytest.mark.parametrize(
    ("owner", "kind", "properties"),
    [
        ("Teacher", "UNIQUENESS", ["id"]),
        ("Concept", "UNIQUENESS", ["tenant_id", "id", "name"]),
        ("Concept", "NODE_PROPERTY_EXISTENCE", ["id"]),
        ("Concept", "NODE_PROPERTY_TYPE", ["id"]),
        ("PREREQUISITE_OF", "RELATIONSHIP_UNIQUENESS", ["weight"]),
    ],
)
def test_given_a_constraint_that_does_not_matter_then_nothing_is_said(
    owner: str, kind: str, properties: list[str]
) -> None:
    assert foreign([_constraint(owner, kind, *properties)]) == []
