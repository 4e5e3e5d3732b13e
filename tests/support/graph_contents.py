"""Histories of mastery events, and what a graph holds after them."""

import random

from contracts.mastery import MasteryData
from tests.support.graph_events import DictGraph, mastery_data
from workers.graph.changes import changes_of
from workers.graph.protocol import Graph, StoredLearner, StoredSession


def history(length: int, seed: int = 0, students: int = 6) -> list[MasteryData]:
    """Events of two tenants whose students, concepts and sessions have the same ids."""
    draw = random.Random(seed)
    events = []
    for version in range(1, length + 1):
        tenant_id, student = draw.choice(("t1", "t2")), f"s{draw.randrange(students)}"
        session_id = draw.choice((None, "s1", "s2"))
        scale = draw.choice(("default", "math"))
        concepts = draw.sample(("c1", "c2", "c3", "c4"), draw.choice((1, 1, 2)))
        events += [
            mastery_data(
                student,
                concept_id,
                version,
                tenant_id=tenant_id,
                session_id=session_id,
                scale=scale,
            )
            for concept_id in concepts
        ]
    return events


def expected(events: list[MasteryData]) -> DictGraph:
    graph = DictGraph()
    for event in events:
        graph.apply(changes_of([event]))
    return graph


async def everything(graph: Graph) -> tuple[list[StoredLearner], list[StoredSession]]:
    learners, sessions = await graph.stored(limit=10_000), await graph.sessions(limit=10_000)
    return (
        sorted(learners, key=lambda learner: learner.key),
        sorted(sessions, key=lambda session: session.key),
    )


async def assert_holds(graph: Graph, events: list[MasteryData]) -> None:
    model = expected(events)
    assert await everything(graph) == (model.learners(), model.sessions())
