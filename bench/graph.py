"""Measure how fast the projector fills a graph, compared with merging ready-made rows.

    uv run python -m bench.graph
    uv run python -m bench.graph --neo4j-uri bolt://127.0.0.1:7687 --neo4j-password …

Each line is one batch size on one graph: events per second of the projector, of the limit, and
their ratio. Both run alternately, batch by batch, on rows of their own tenants, so that slow phases
of the machine affect both. The graph keeps the tenants of this run unless --clear removes them.
"""

import argparse
import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import ladybug
from neo4j import AsyncGraphDatabase

from contracts.mastery import MasteryChanged
from workers.graph.changes import changes_of
from workers.graph.embedded import EmbeddedGraph
from workers.graph.neo4j import Neo4jGraph
from workers.graph.projector import Projector
from workers.graph.statements import Merge, merges

CONCEPTS, ANSWERS_PER_SESSION = 120, 20


def events(tenant_id: str, students: int, count: int, seed: int) -> Iterator[MasteryChanged]:
    """Make events of a practising class: 1.2 events per response, sessions of 20 answers."""
    draw = random.Random(seed)
    start = datetime(2026, 11, 21, tzinfo=UTC)
    answers = [0] * students
    made = version = 0
    while made < count:
        version += 1
        student = draw.randrange(students)
        answers[student] += 1
        session = (answers[student] - 1) // ANSWERS_PER_SESSION
        moment = start + timedelta(seconds=version)
        for concept in draw.sample(range(CONCEPTS), 2 if draw.random() < 0.2 else 1):
            made += 1
            yield MasteryChanged.model_validate(
                {
                    "specversion": "1.0",
                    "id": str(uuid.UUID(int=draw.getrandbits(128))),
                    "source": "/mastery-engine",
                    "type": MasteryChanged.TYPE,
                    "data": {
                        "tenant_id": tenant_id,
                        "student_id": f"student-{student}",
                        "concept_id": f"concept-{concept}",
                        "mastery": draw.random(),
                        "previous_mastery": draw.random(),
                        "mastered": False,
                        "transition": "none",
                        "attempts": answers[student],
                        "version": version,
                        "probability_correct": draw.random(),
                        "ability": {
                            "scale": "math",
                            "theta": draw.gauss(0, 1),
                            "standard_error": 0.3,
                            "previous_theta": 0.0,
                        },
                        "response_id": str(uuid.UUID(int=draw.getrandbits(128))),
                        "item_id": f"item-{concept}",
                        "session_id": f"session-{student}-{session}",
                        "correct": True,
                        "score": 1.0,
                        "session": {"responses": answers[student], "correct": answers[student]},
                        "answered_at": moment,
                        "last_answered_at": moment,
                        "parameters_version": 1,
                    },
                }
            )


def in_batches(
    tenant_id: str, students: int, count: int, size: int
) -> Iterator[tuple[list[MasteryChanged], list[Merge]]]:
    """Make batches of events, and of ready-made rows of the same events in another tenant."""
    ours = list(events(f"{tenant_id}-projector", students, count, size))
    bare = list(events(f"{tenant_id}-limit", students, count, size))
    for at in range(0, count - size + 1, size):
        yield ours[at : at + size], merges(changes_of(e.data for e in bare[at : at + size]))


async def timed(work: Awaitable[object]) -> float:
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


async def compare(
    name: str,
    size: int,
    options: argparse.Namespace,
    project: Callable[[list[MasteryChanged]], Awaitable[object]],
    merge: Callable[[list[Merge]], Awaitable[None]],
) -> None:
    """Time both on the same batches and print the result."""
    ours_s = bare_s = 0.0
    done = 0
    tenant_id = f"bench-{uuid.uuid4().hex[:8]}"
    batches = in_batches(tenant_id, options.students, options.events, size)
    for number, (batch, ready) in enumerate(batches):
        if number % 2:
            ours, bare = await timed(project(batch)), await timed(merge(ready))
        else:
            bare, ours = await timed(merge(ready)), await timed(project(batch))
        if number:  # the first batch warms up: plans, tokens, files
            ours_s, bare_s, done = ours_s + ours, bare_s + bare, done + len(batch)
    print(
        f"{name:9} batch {size:5,}: projector {done / ours_s:7,.0f} events/s, "
        f"limit {done / bare_s:7,.0f} events/s, ratio {bare_s / ours_s:.2f}"
    )


async def embedded(sizes: list[int], options: argparse.Namespace) -> None:
    graph, limit = EmbeddedGraph(), EmbeddedGraph()
    try:
        await graph.prepare()
        await limit.prepare()
        connection = limit._open()  # noqa: SLF001  # the bare library below the adapter

        def bare(ready: list[Merge]) -> None:
            for text, parameters in (
                ("BEGIN TRANSACTION", {}),
                *((text, {"rows": rows}) for text, rows in ready),
                ("COMMIT", {}),
            ):
                result = connection.execute(text, parameters)
                assert isinstance(result, ladybug.QueryResult)  # noqa: S101  # one statement each
                result.close()

        for size in sizes:
            await compare(
                "embedded",
                size,
                options,
                Projector(graph).project,
                lambda ready: asyncio.to_thread(bare, ready),
            )
    finally:
        await graph.close()
        await limit.close()


async def neo4j(sizes: list[int], options: argparse.Namespace) -> None:
    access = options.neo4j_uri, options.neo4j_username, options.neo4j_password
    graph = Neo4jGraph(*access)
    try:
        await graph.prepare()
        async with AsyncGraphDatabase.driver(access[0], auth=access[1:]) as driver:

            async def bare(ready: list[Merge]) -> None:
                async with driver.session() as session, await session.begin_transaction() as open_:
                    for text, rows in ready:
                        await (await open_.run(text, {"rows": rows})).consume()
                    await open_.commit()

            for size in sizes:
                await compare("neo4j", size, options, Projector(graph).project, bare)
            if options.clear:
                await driver.execute_query(
                    "MATCH (n) WHERE n.tenant_id STARTS WITH 'bench-' DETACH DELETE n"
                )
    finally:
        await graph.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000, help="per line (default 20,000)")
    parser.add_argument("--students", type=int, default=1_500, help="default 1,500")
    parser.add_argument("--batch", type=int, action="append", help="default 500 and 2,000")
    parser.add_argument("--neo4j-uri")
    parser.add_argument("--neo4j-username", default="neo4j")
    parser.add_argument("--neo4j-password", default="")
    parser.add_argument("--clear", action="store_true", help="delete the bench's nodes afterwards")
    options = parser.parse_args()
    sizes = options.batch or [500, 2_000]
    if any(2 * size > options.events for size in sizes):
        parser.error("--events must hold at least two batches: the first one only warms up")
    asyncio.run(embedded(sizes, options))
    if options.neo4j_uri:
        asyncio.run(neo4j(sizes, options))


if __name__ == "__main__":
    main()
