from datetime import UTC, datetime, timedelta, timezone
from importlib import resources

import pytest

from tests.support.graph_events import mastery_data
from workers.graph.changes import KINDS, MasteryChange, changes_of
from workers.graph.statements import PROBE, merges, script, statement


def test_given_every_cypher_file_then_each_is_named_in_the_code() -> None:
    package = resources.files("workers.graph")
    names = {
        file.name.removesuffix(".cypher")
        for file in (package / "cypher").iterdir()
        if file.name.endswith(".cypher")
    }
    code = "".join(
        file.read_text("utf-8") for file in package.iterdir() if file.name.endswith(".py")
    )
    paged = {
        name for name in names if name.endswith(("_of_tenant", "_of_later_tenants"))
    }  # `reading` puts their names together

    assert paged == {
        f"{nodes}_of_{which}"
        for nodes in ("students", "sessions")
        for which in ("tenant", "later_tenants")
    }
    assert [name for name in names - paged if f'"{name}"' not in code] == []


@pytest.mark.parametrize(("name", "count"), [("constraints", 4), ("tables", 11)])
def test_given_a_script_then_statements_stand_alone_and_may_be_repeated(
    name: str, count: int
) -> None:
    statements = script(name)

    assert len(statements) == count
    assert all(
        text.startswith(("CREATE ", "ALTER ")) and "IF NOT EXISTS" in text for text in statements
    )
    assert not any(";" in text or "//" in text for text in statements)


def test_given_an_unknown_name_then_it_says_so() -> None:
    with pytest.raises(FileNotFoundError):
        statement("no_such_statement")


def test_given_several_versions_merged_then_each_relationship_has_one_row() -> None:
    changes = [
        change
        for version in (2, 9, 4)
        for change in reversed(changes_of([mastery_data(version=version)]))
    ]

    statements = merges(changes)

    assert [text for text, _ in statements] == [
        statement(f"merge_{what}")
        for what in (
            "students",
            "concepts",
            "scales",
            "sessions",
            "mastery",
            "ability",
            "attendance",
            "practised",
        )
    ]
    assert [row.get("version") for _, rows in statements for row in rows] == [
        *[None] * 4,
        9,
        9,
        9,
        None,
    ]


def test_given_recurring_ids_then_each_node_has_one_row_in_order() -> None:
    events = [
        mastery_data(student, concept, tenant_id=tenant)
        for tenant in ("t2", "t1")
        for student in ("b", "a")
        for concept in ("x", "b")
    ]

    students, concepts, scales, sessions, *_ = [rows for _, rows in merges(changes_of(events))]

    assert [(row["tenant_id"], row["id"]) for row in students] == [
        ("t1", "a"),
        ("t1", "b"),
        ("t2", "a"),
        ("t2", "b"),
    ]
    assert [(row["tenant_id"], row["id"]) for row in concepts] == [
        ("t1", "b"),
        ("t1", "x"),
        ("t2", "b"),
        ("t2", "x"),
    ]
    assert len(scales) == len(sessions) == 2


def test_given_no_session_when_merged_then_no_statement_is_without_rows() -> None:
    statements = merges(changes_of([mastery_data(session_id=None)]))

    assert [len(rows) for _, rows in statements] == [1, 1, 1, 1, 1]


def test_given_a_time_of_another_zone_when_merged_then_its_row_is_in_utc() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    change = MasteryChange("t", "s", "c", 0.5, 1, False, datetime(2026, 11, 21, 15, tzinfo=zone), 1)

    *_, (_, (row,)) = merges([change])

    assert row["answered_at"] == datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    assert row["answered_at"].tzinfo is UTC


def test_given_the_probe_then_it_has_a_change_of_every_kind() -> None:
    assert len(merges(PROBE)) == 2 * len(KINDS)
