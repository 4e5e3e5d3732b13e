"""Reconciling a graph with a ledger: whatever is wrong, afterwards it is as if it never was."""

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.graph.conftest import neo4j_graph
from tests.support.factories import START, answer, learner_log
from tests.support.graph_contents import everything
from tests.support.school import KEYS, School
from tests.support.servers import Neo4j
from workers.estimation.learner import LearnerKey
from workers.graph.changes import (
    AbilityChange,
    AttendanceChange,
    GraphChange,
    MasteryChange,
    PractisedChange,
)
from workers.graph.cypher_graph import CypherGraph
from workers.graph.protocol import Graph, SessionKey
from workers.graph.repairs import Repair
from workers.graph.statements import Merge
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.reconciliation.comparison import Difference
from workers.operations.repair.scope import Scope


@pytest.fixture
async def school(graph: Graph) -> School:
    school = School(MemoryLedger(), graph)
    for number, key in enumerate(KEYS):
        await school.record(key, learner_log(25, seed=number))
    await school.project()
    await school.assert_equal()
    return school


async def alter(graph: Graph, before: GraphChange, after: GraphChange) -> None:
    await graph.repair(Repair([before], [after]))


async def create_copy(graph: Graph, change: MasteryChange, **changes: Any) -> None:
    """A second relationship beside the first, as only a foreign hand makes it."""
    assert isinstance(graph, CypherGraph)
    text = (
        "UNWIND $rows AS row "
        "MATCH (s:Student {tenant_id: row.tenant_id, id: row.student_id}), "
        "(c:Concept {tenant_id: row.tenant_id, id: row.concept_id}) "
        "CREATE (s)-[:HAS_MASTERY {mastery: row.mastery, attempts: row.attempts, "
        "mastered: row.mastered, answered_at: row.answered_at, version: row.version}]->(c)"
    )
    await graph._write([Merge(text, [{**change._asdict(), **changes}])])


async def test_given_a_true_graph_then_nothing_differs(school: School) -> None:
    for dry_run in (True, False):
        outcome = await school.reconcile(dry_run=dry_run)
        assert outcome.learners == len(KEYS)
        assert not outcome.differences
        assert not outcome.nodes
    await school.assert_equal()


async def test_given_an_empty_graph_then_all_of_it_is_made_again(graph: Graph) -> None:
    school = School(MemoryLedger(), graph)
    for number, key in enumerate(KEYS):
        await school.record(key, learner_log(25, seed=number))

    outcome = await school.reconcile()

    assert set(outcome.kinds) == {"missing"}
    assert not outcome.left
    await school.assert_equal()


async def test_given_any_value_altered_then_it_is_found_and_mended(school: School) -> None:
    before = [await school.mastery(KEYS[4], 1), *[await school.mastery(key) for key in KEYS[:3]]]
    altered = [
        before[0]._replace(mastery=0.5),
        before[1]._replace(attempts=99),
        before[2]._replace(mastered=not before[2].mastered),
        before[3]._replace(answered_at=before[3].answered_at - timedelta(microseconds=1)),
    ]
    await school.graph.repair(Repair([*before], [*altered]))

    outcome = await school.reconcile()

    assert set(outcome.identities) == {change[:3] for change in before}
    assert outcome.kinds == ["altered"] * 4
    await school.assert_equal()


async def test_given_the_last_digit_altered_then_it_is_found_and_mended(school: School) -> None:
    (learner,) = await school.graph.learners([KEYS[0]])
    ability, two = learner.abilities[0], learner.attendance[0]
    nearly = ability._replace(theta=ability.theta + abs(ability.theta) * 2**-52)
    await alter(school.graph, ability, nearly)
    await alter(school.graph, two, two._replace(correct=two.correct + 1))

    outcome = await school.reconcile()

    assert outcome.identities == [ability[:3], two[:3]]
    await school.assert_equal()


async def test_given_relationships_deleted_then_they_are_made_again(school: School) -> None:
    (learner,) = await school.graph.learners([KEYS[1]])
    gone: list[GraphChange] = [learner.mastery[0], learner.abilities[0], learner.attendance[0]]
    session = next(
        session for session in await school.graph.sessions() if session.key.tenant_id == "t2"
    )
    gone.append(PractisedChange(*session.key, session.concept_ids[0]))
    await school.graph.repair(Repair(gone))

    outcome = await school.reconcile()

    assert outcome.kinds == ["missing"] * 4
    await school.assert_equal()


async def test_given_an_older_version_then_it_is_behind_and_brought_up(school: School) -> None:
    change = await school.mastery(KEYS[2])
    await alter(school.graph, change, change._replace(version=change.version - 1, mastery=0.1))

    outcome = await school.reconcile()

    assert outcome.kinds == ["behind"]
    await school.assert_equal()


async def test_given_versions_newer_than_the_ledger_then_the_ledger_wins(school: School) -> None:
    """Restore the ledger as from a backup."""
    (learner,) = await school.graph.learners([KEYS[2]])
    ahead: list[GraphChange] = [
        *(change._replace(version=change.version + 1_000) for change in learner.mastery),
        *(ability._replace(version=ability.version + 1_000) for ability in learner.abilities),
        *(
            attendance._replace(version=attendance.version + 1_000)
            for attendance in learner.attendance
        ),
    ]
    await school.graph.merge(ahead)

    outcome = await school.reconcile()

    assert set(outcome.kinds) == {"ahead"}
    assert len(outcome.differences) == len(ahead)
    assert not outcome.left
    await school.assert_equal()


async def test_given_stray_relationships_then_they_go_and_the_nodes_stay(school: School) -> None:
    key = KEYS[0]
    strays: list[GraphChange] = [
        MasteryChange(*key, "stray", 0.5, 1, False, START, 10**9),
        AbilityChange(*key, "stray", 0.5, 1.0, 1),
        AttendanceChange(*key, "stray", 1, 1, 1),
        PractisedChange("t1", "stray", "stray"),
    ]
    await school.graph.merge(strays)

    outcome = await school.reconcile()

    assert outcome.kinds == ["stray"] * 4
    assert outcome.nodes == [SessionKey("t1", "stray")]
    await school.assert_equal()
    assert isinstance(school.graph, CypherGraph)
    for label in ("Concept", "Scale"):
        query = f"MATCH (n:{label}) WHERE n.id = 'stray' RETURN n.id AS id"
        assert await school.graph._read(query, {}) == [{"id": "stray"}]


async def test_given_students_of_nobody_then_they_go_with_their_sessions(school: School) -> None:
    for key in (LearnerKey("t0", "s1"), LearnerKey("t1", "s1x"), LearnerKey("t3", "ß")):
        await school.graph.merge(
            [
                MasteryChange(*key, "c1", 0.5, 1, False, START, 5),
                AbilityChange(*key, "math", 0.5, 1.0, 5),
                AttendanceChange(*key, "of nobody", 1, 1, 5),
                PractisedChange(key.tenant_id, "of nobody", "c1"),
            ]
        )

    outcome = await school.reconcile()

    assert outcome.kinds == ["stray"] * 12
    assert sorted(outcome.nodes) == sorted(
        [("t0", "s1"), ("t1", "s1x"), ("t3", "ß"), *((t, "of nobody") for t in ("t0", "t1", "t3"))]
    )
    assert await school.graph.students() == KEYS
    await school.assert_equal()
    assert not (await school.reconcile()).differences


async def test_given_copies_of_a_relationship_then_one_is_left(school: School) -> None:
    change, two = await school.mastery(KEYS[0]), await school.mastery(KEYS[3], 1)
    await create_copy(school.graph, change)
    await create_copy(school.graph, two, version=two.version + 7)

    outcome = await school.reconcile()

    assert outcome.kinds == ["doubled"] * 2
    await school.assert_equal()


async def test_given_a_shared_session_then_only_the_unpractised_concept_goes(
    school: School,
) -> None:
    for number, key in enumerate(KEYS[:3]):
        shared = answer(200 + number, concepts=(f"own-{number}",), session="shared")
        await school.record(key, [shared])
    await school.project()
    await school.graph.merge([PractisedChange("t1", "shared", "c0")])

    outcome = await school.reconcile()

    assert outcome.differences == [Difference((PractisedChange("t1", "shared", "c0"),), None)]
    await school.assert_equal()


async def test_given_a_dry_run_then_all_is_told_and_nothing_changed(school: School) -> None:
    change = await school.mastery(KEYS[0])
    await alter(school.graph, change, change._replace(mastery=0.123))
    await school.graph.merge([MasteryChange("t9", "s9", "c", 0.5, 1, False, START, 5)])
    before = await everything(school.graph)

    outcome = await school.reconcile(dry_run=True)

    assert outcome.kinds == ["altered", "stray"]
    assert "mastery 0.123" in str(outcome.differences[0])
    assert await everything(school.graph) == before


async def test_given_a_scope_then_others_are_left_alone(school: School) -> None:
    altered = [await school.mastery(key) for key in KEYS]
    for change in altered:
        await alter(school.graph, change, change._replace(mastery=0.123))
    await school.graph.merge(
        [MasteryChange(t, "nobody", "c", 0.5, 1, False, START, 5) for t in ("t1", "t2")]
    )

    one_learner = await school.reconcile(Scope("t2", "s2"))
    tenant = await school.reconcile(Scope("t1"))
    nobody = await school.reconcile(Scope("t2", "nobody"))
    rest = await school.reconcile()

    assert (one_learner.learners, one_learner.identities) == (1, [altered[4][:3]])
    assert tenant.learners == 3
    assert tenant.identities == [*(change[:3] for change in altered[:3]), ("t1", "nobody", "c")]
    assert nobody.nodes == [("t2", "nobody")]
    assert rest.identities == [altered[3][:3], altered[5][:3]]
    await school.assert_equal()


async def test_given_a_cursor_then_learners_up_to_it_are_not_looked_at(school: School) -> None:
    altered = [await school.mastery(key) for key in KEYS]
    for change in altered:
        await alter(school.graph, change, change._replace(mastery=0.123))

    outcome = await school.reconcile(after=KEYS[3])

    assert outcome.learners == 2
    assert outcome.identities == [change[:3] for change in altered[4:]]


async def test_given_foreign_ties_then_nodes_of_nobody_stay(neo4j: Neo4j) -> None:
    graph = neo4j_graph(neo4j)
    try:
        await graph.prepare()
        await graph.merge([MasteryChange("t", "s", "c", 0.5, 1, False, START, 5)])
        await graph._write(
            [
                Merge(
                    "UNWIND $rows AS row MATCH (s:Student), (c:Concept {id: 'c'}) "
                    "CREATE (:Teacher)-[:TEACHES]->(s), "
                    "(c)-[:PREREQUISITE_OF]->(:Concept {tenant_id: 't', id: row.id})",
                    [{"id": "d"}],
                )
            ]
        )

        outcome = await School(MemoryLedger(), graph).reconcile()

        assert outcome.kinds == ["stray"]
        assert not outcome.nodes
        rows = await graph._read("MATCH (a)-[r]->(b) RETURN type(r) AS type ORDER BY type", {})
        assert [row["type"] for row in rows] == ["PREREQUISITE_OF", "TEACHES"]
        assert not (await School(MemoryLedger(), graph).reconcile(dry_run=True)).differences
    finally:
        await graph.close()


async def test_given_a_repair_of_what_is_no_more_as_it_was_read_then_it_stays(
    school: School,
) -> None:
    change = await school.mastery(KEYS[0])

    await school.graph.repair(Repair([change._replace(version=change.version - 1)], []))

    await school.assert_equal()
