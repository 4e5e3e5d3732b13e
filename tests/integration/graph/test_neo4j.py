import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from neo4j import AsyncDriver, AsyncGraphDatabase

from tests.integration.graph.conftest import neo4j_graph
from tests.support.graph_contents import assert_holds, history
from tests.support.graph_events import mastery_data
from tests.support.neo4j_proxy import proxied
from tests.support.servers import Neo4j
from workers.common.errors import GraphRefused, GraphUnavailable
from workers.graph.changes import changes_of
from workers.graph.neo4j import Limits, Neo4jGraph
from workers.graph.statements import merges

_IMPATIENT = Limits(connect_s=0.5, acquire_s=0.5, transaction_s=0.5, ping_s=0.5)


async def in_the_end(call: Callable[[], Awaitable[None]]) -> None:
    """Call until Neo4j answers within the short limits, which a busy machine may not at once."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except GraphUnavailable:
                await asyncio.sleep(0.1)


@pytest.fixture
async def driver(neo4j: Neo4j) -> AsyncIterator[AsyncDriver]:
    async with AsyncGraphDatabase.driver(
        neo4j.uri, auth=(neo4j.username, neo4j.password), notifications_min_severity="OFF"
    ) as opened:
        yield opened


@pytest.fixture
async def graph(neo4j: Neo4j) -> AsyncIterator[Neo4jGraph]:
    opened = neo4j_graph(neo4j)
    await opened.prepare()
    yield opened
    await opened.close()


async def _rows(driver: AsyncDriver, text: str) -> list[dict[str, Any]]:
    records, _, _ = await driver.execute_query(text)
    return [record.data() for record in records]


@asynccontextmanager
async def _constraint(driver: AsyncDriver, name: str, requirement: str) -> AsyncIterator[None]:
    await _rows(driver, f"CREATE CONSTRAINT {name} FOR {requirement}")
    try:
        yield
    finally:
        await _rows(driver, f"DROP CONSTRAINT {name}")


async def test_given_merged_events_then_the_model_is_exactly_the_one_promised(
    graph: Neo4jGraph, driver: AsyncDriver
) -> None:
    await graph.merge(changes_of([mastery_data(version=6)]))

    rows = await _rows(
        driver,
        "MATCH (a)-[r]->(b) "
        "RETURN labels(a) + labels(b) AS ends, keys(a) AS of_a, keys(b) AS of_b, "
        "type(r) AS kind, keys(r) AS properties ORDER BY kind",
    )
    assert [(row["kind"], row["ends"], set(row["properties"])) for row in rows] == [
        ("ATTENDED", ["Student", "PracticeSession"], {"responses", "correct", "version"}),
        ("HAS_ABILITY", ["Student", "Scale"], {"theta", "standard_error", "version"}),
        (
            "HAS_MASTERY",
            ["Student", "Concept"],
            {"mastery", "attempts", "mastered", "answered_at", "version"},
        ),
        ("PRACTISED", ["PracticeSession", "Concept"], set()),
    ]
    assert {frozenset(row[end]) for row in rows for end in ("of_a", "of_b")} == {
        frozenset({"tenant_id", "id"})
    }
    assert await _rows(
        driver,
        "MATCH ()-[m:HAS_MASTERY]->() "
        "RETURN valueType(m.answered_at) AS type, toString(m.answered_at) AS text",
    ) == [{"type": "ZONED DATETIME NOT NULL", "text": "2026-11-21T09:30:06.400123Z"}]


async def test_given_an_empty_server_then_the_driver_logs_no_notifications(
    graph: Neo4jGraph, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="neo4j.notifications"):
        await graph.prepare()
        await graph.stored()
        await graph.merge(changes_of([mastery_data()]))

    assert [r for r in caplog.records if r.name == "neo4j.notifications"] == []


async def test_given_a_concept_map_then_merging_leaves_it_as_it_is(
    graph: Neo4jGraph, driver: AsyncDriver
) -> None:
    await _rows(
        driver,
        "CREATE (:Concept {tenant_id: 'school-7', id: 'fractions.add', name: 'Adding'})"
        "<-[:PREREQUISITE_OF {weight: 2}]-(:Concept {tenant_id: 'school-7', id: 'counting'})",
    )

    await graph.merge(changes_of([mastery_data()]))

    assert await _rows(
        driver,
        "MATCH (:Concept {id: 'counting'})-[p:PREREQUISITE_OF]->(c)<-[:HAS_MASTERY]-(s) "
        "RETURN c.name AS name, p.weight AS weight, s.id AS student",
    ) == [{"name": "Adding", "weight": 2, "student": "student-42"}]


async def test_given_an_unversioned_relationship_then_the_first_event_takes_it(
    graph: Neo4jGraph, driver: AsyncDriver
) -> None:
    await _rows(
        driver,
        "CREATE (:Student {tenant_id: 'school-7', id: 'student-42'})-[:HAS_MASTERY {mastery: 0.1}]"
        "->(:Concept {tenant_id: 'school-7', id: 'fractions.add'})",
    )

    await graph.merge(changes_of([mastery_data()]))

    await assert_holds(graph, [mastery_data()])


async def test_given_a_leftover_constraint_on_the_id_alone_then_it_is_named(
    graph: Neo4jGraph, driver: AsyncDriver
) -> None:
    async with _constraint(driver, "leftover", "(c:Concept) REQUIRE c.id IS UNIQUE"):
        (fault,) = await graph.faults()
        await graph.merge(changes_of([mastery_data(tenant_id="t1")]))
        with pytest.raises(GraphRefused, match="mastery check"):
            await graph.merge(changes_of([mastery_data(tenant_id="t2")]))

    assert "DROP CONSTRAINT `leftover`" in fault
    assert await graph.faults() == []
    await graph.merge(changes_of([mastery_data(tenant_id="t2")]))


async def test_given_a_missing_constraint_then_preparing_finds_and_makes_it(
    graph: Neo4jGraph, driver: AsyncDriver
) -> None:
    await _rows(driver, "DROP CONSTRAINT scale_identity")

    (fault,) = await graph.faults()
    await graph.prepare()

    assert "Scale" in fault
    assert await graph.faults() == []


async def test_given_our_names_on_other_constraints_then_preparing_refuses(
    graph: Neo4jGraph, driver: AsyncDriver
) -> None:
    await _rows(driver, "DROP CONSTRAINT scale_identity")
    async with _constraint(driver, "scale_identity", "(t:Teacher) REQUIRE t.id IS UNIQUE"):
        with pytest.raises(GraphRefused, match="Scale"):
            await graph.prepare()
    await graph.prepare()


async def test_given_nodes_that_are_there_twice_when_prepared_then_it_refuses(
    graph: Neo4jGraph, driver: AsyncDriver
) -> None:
    await _rows(driver, "DROP CONSTRAINT scale_identity")
    await _rows(driver, "UNWIND [1, 2] AS k CREATE (:Scale {tenant_id: 't', id: 'x'})")

    with pytest.raises(GraphRefused):
        await graph.prepare()

    await _rows(driver, "MATCH (n:Scale) DELETE n")
    await graph.prepare()


async def test_given_no_constraints_and_concurrent_preparing_then_all_are_made(
    graph: Neo4jGraph, neo4j: Neo4j, driver: AsyncDriver
) -> None:
    for label in ("student", "concept", "scale", "practice_session"):
        await _rows(driver, f"DROP CONSTRAINT {label}_identity")
    clients = [neo4j_graph(neo4j) for _ in range(4)]

    results = await asyncio.gather(
        *(client.prepare() for client in clients), return_exceptions=True
    )
    for client in clients:
        await client.close()

    assert all(r is None or isinstance(r, GraphUnavailable) for r in results), results
    assert None in results
    assert await graph.faults() == []


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"password": "wrong"}, "NEO4J_PASSWORD"),
        ({"database": "nosuchdatabase"}, "NEO4J_DATABASE"),
    ],
)
async def test_given_wrong_settings_then_the_graph_refuses_and_names_the_setting(
    neo4j: Neo4j, changes: dict[str, str], remedy: str
) -> None:
    graph = Neo4jGraph(
        neo4j.uri,
        neo4j.username,
        changes.get("password", neo4j.password),
        changes.get("database"),
    )

    with pytest.raises(GraphRefused, match=remedy) as raised:
        await graph.ping()
    await graph.close()

    assert neo4j.password not in str(raised.value)


async def test_given_a_silent_network_then_its_loss_and_return_are_noticed(
    neo4j: Neo4j,
) -> None:
    events = history(20)
    async with proxied(neo4j.uri) as (proxy, uri):
        graph = neo4j_graph(neo4j, uri, _IMPATIENT)
        await in_the_end(graph.prepare)
        proxy.freeze()
        begun = time.monotonic()
        with pytest.raises(GraphUnavailable, match="no answer within 1 s"):
            await graph.merge(changes_of(events))
        noticed_after_s = time.monotonic() - begun
        with pytest.raises(GraphUnavailable):
            await graph.ping()

        proxy.thaw()
        await in_the_end(graph.ping)
        await in_the_end(lambda: graph.merge(changes_of(events)))
        await in_the_end(lambda: assert_holds(graph, events))
        await graph.close()

    # The usual limit is 30 s.
    assert noticed_after_s < 20


async def test_given_connections_that_break_in_merges_then_repeats_complete_them(
    neo4j: Neo4j,
) -> None:
    events = history(400)
    broken = 0
    async with proxied(neo4j.uri) as (proxy, uri):
        graph = neo4j_graph(neo4j, uri)
        await graph.prepare()
        for start in range(0, len(events), 40):
            merging = asyncio.create_task(graph.merge(changes_of(events[start : start + 40])))
            await asyncio.sleep(0.002 * (start // 40))
            proxy.cut()
            try:
                await merging
            except GraphUnavailable:
                broken += 1
            while True:
                try:
                    await graph.merge(changes_of(events[start : start + 40]))
                    break
                except GraphUnavailable:
                    continue
        await assert_holds(graph, events)
        await graph.close()

    assert broken > 0


async def test_given_a_server_that_went_away_when_closed_then_closing_ends(neo4j: Neo4j) -> None:
    async with proxied(neo4j.uri) as (proxy, uri):
        graph = neo4j_graph(neo4j, uri, _IMPATIENT)
        await in_the_end(graph.ping)
        proxy.freeze()
        begun = time.monotonic()
        await graph.close()

    assert time.monotonic() - begun < 20


async def test_given_a_transaction_that_holds_a_lock_then_waiting_for_it_ends(
    graph: Neo4jGraph, neo4j: Neo4j, driver: AsyncDriver
) -> None:
    await graph.merge(changes_of([mastery_data()]))
    fast_retrying = neo4j_graph(neo4j, limits=Limits(transaction_s=1.0))
    async with driver.session() as session, await session.begin_transaction() as holding:
        await (await holding.run("MATCH (s:Student) SET s.held = true")).consume()
        with pytest.raises(GraphUnavailable):
            await fast_retrying.merge(changes_of([mastery_data(version=2, concept_id="other")]))
        await holding.rollback()

    await fast_retrying.merge(changes_of([mastery_data(version=2, concept_id="other")]))
    await fast_retrying.close()
    await assert_holds(graph, [mastery_data(), mastery_data(version=2, concept_id="other")])


@pytest.mark.parametrize("session_id", [None, "s-9"])
async def test_given_a_newer_uncommitted_version_then_an_older_one_is_ignored(
    graph: Neo4jGraph, driver: AsyncDriver, session_id: str | None
) -> None:
    first, older, newer = (mastery_data(version=v, session_id=session_id) for v in (1, 5, 9))
    await graph.merge(changes_of([first]))
    async with driver.session() as session, await session.begin_transaction() as other:
        for text, rows in merges(changes_of([newer])):
            await (await other.run(text, {"rows": rows})).consume()
        merging = asyncio.create_task(graph.merge(changes_of([older])))
        await asyncio.sleep(0.5)
        assert not merging.done()
        await other.commit()
    await merging

    await assert_holds(graph, [first, newer])


async def test_given_an_uncommitted_session_then_another_student_doubles_nothing(
    graph: Neo4jGraph, driver: AsyncDriver
) -> None:
    async with driver.session() as session, await session.begin_transaction() as other:
        for text, rows in merges(changes_of([mastery_data("anna", version=3)])):
            await (await other.run(text, {"rows": rows})).consume()
        merging = asyncio.create_task(graph.merge(changes_of([mastery_data("bert", version=4)])))
        await asyncio.sleep(0.5)
        await other.commit()
    await merging

    await assert_holds(graph, [mastery_data("anna", version=3), mastery_data("bert", version=4)])
    assert await _rows(driver, "MATCH ()-[p:PRACTISED]->() RETURN count(*) AS n") == [{"n": 1}]
