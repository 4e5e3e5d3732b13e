"""What every graph must do, whichever it is."""

import asyncio
import random
from datetime import UTC, datetime

import pytest

from contracts.mastery import MasteryData
from tests.integration.graph.conftest import Open
from tests.support.graph_events import DictGraph, mastery_changed, mastery_data
from workers.common.errors import GraphRefused, GraphUnavailable
from workers.estimation.learner import LearnerKey
from workers.graph.changes import (
    AbilityChange,
    AttendanceChange,
    GraphChange,
    MasteryChange,
    PractisedChange,
    changes_of,
)
from workers.graph.projector import Projector
from workers.graph.protocol import Graph, SessionKey, StoredLearner, StoredSession

_TRIES = 200


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


async def merge_until_done(graph: Graph, changes: list[GraphChange]) -> int:
    """Merge as the engine does: where the graph is unavailable, again; returns the tries."""
    for tries in range(1, _TRIES):
        try:
            await graph.merge(changes)
        except GraphUnavailable:
            await asyncio.sleep(random.random() / 100)
        else:
            return tries
    raise AssertionError(f"no merge went through in {_TRIES} tries")


async def test_given_events_when_projected_then_the_graph_holds_what_they_say(graph: Graph) -> None:
    event = mastery_changed(version=6)

    await Projector(graph).project([event])

    key = LearnerKey("school-7", "student-42")
    assert await graph.stored() == [
        StoredLearner(
            key,
            [MasteryChange(*key, "fractions.add", 1 / 7, 6, True, event.data.last_answered_at, 6)],
            [AbilityChange(*key, "math", 6 / 7, 1 / 6, 6)],
            [AttendanceChange(*key, "s-9", 6, 3, 6)],
        )
    ]
    assert await graph.sessions() == [
        StoredSession(SessionKey("school-7", "s-9"), ["fractions.add"])
    ]


async def test_given_a_whole_history_in_one_batch_then_the_graph_holds_its_end(
    graph: Graph,
) -> None:
    events = history(300)

    await graph.merge(changes_of(events))

    await assert_holds(graph, events)


async def test_given_merged_events_when_repeated_then_nothing_changes(graph: Graph) -> None:
    events = history(40)
    await graph.merge(changes_of(events))
    before = await everything(graph)

    await graph.merge(changes_of(events))
    await graph.merge(changes_of(events[:7]))

    assert await everything(graph) == before


async def test_given_a_newer_version_when_an_older_one_comes_then_it_is_ignored(
    graph: Graph,
) -> None:
    newer, older = mastery_data(version=9), mastery_data(version=8)

    await graph.merge(changes_of([newer]))
    await graph.merge(changes_of([older]))

    await assert_holds(graph, [newer])


async def test_given_an_older_version_when_a_newer_one_comes_then_it_takes_its_place(
    graph: Graph,
) -> None:
    newer, older = mastery_data(version=9), mastery_data(version=8)

    await graph.merge(changes_of([older]))
    await graph.merge(changes_of([newer]))

    await assert_holds(graph, [newer])


async def test_given_the_same_version_with_other_numbers_then_the_first_stays(
    graph: Graph,
) -> None:
    first = mastery_data(version=5)

    await graph.merge(changes_of([first]))
    await graph.merge(changes_of([mastery_data(version=5, mastery=0.99, attempts=77)]))

    await assert_holds(graph, [first])


async def test_given_several_versions_in_one_merge_in_any_order_then_the_newest_stays(
    graph: Graph,
) -> None:
    events = [mastery_data(version=v) for v in (5, 9, 3)]
    changes = [change for event in events for change in changes_of([event])]

    await graph.merge(changes)

    await assert_holds(graph, events)


@pytest.mark.parametrize("seed", range(3))
async def test_given_batches_out_of_order_with_repeats_then_the_graph_is_that_of_the_order(
    graph: Graph, seed: int
) -> None:
    draw = random.Random(seed)
    events = history(120, seed)
    arriving = events + draw.choices(events, k=60)
    draw.shuffle(arriving)

    while arriving:
        size = draw.randint(1, 60)
        await graph.merge(changes_of(arriving[:size]))
        del arriving[:size]

    await assert_holds(graph, events)


async def test_given_two_tenants_with_the_same_ids_then_they_stay_apart(graph: Graph) -> None:
    one = mastery_data(tenant_id="t1", version=3)
    other = mastery_data(tenant_id="t2", version=8)

    await graph.merge(changes_of([one, other]))

    learners, sessions = await everything(graph)
    assert [learner.key.tenant_id for learner in learners] == ["t1", "t2"]
    assert [len(learner.mastery) for learner in learners] == [1, 1]
    assert [session.key.tenant_id for session in sessions] == ["t1", "t2"]
    await assert_holds(graph, [one, other])


async def test_given_a_shared_session_then_each_student_has_own_counts(graph: Graph) -> None:
    events = [
        mastery_data("anna", "c1", 4),
        mastery_data("bert", "c2", 7),
        mastery_data("anna", "c2", 9),
    ]

    await graph.merge(changes_of(events))

    learners, (session,) = await everything(graph)
    assert [(a.responses, a.correct) for one in learners for a in one.attendance] == [
        (9, 4),
        (7, 3),
    ]
    assert session.concept_ids == ["c1", "c2"]


async def test_given_ids_that_look_like_cypher_then_they_are_just_ids(graph: Graph) -> None:
    bystander = mastery_data("bystander")
    hostile = [
        "'}) MATCH (n) DETACH DELETE n //",
        '"}) MATCH (n) DETACH DELETE n //',
        "`; DROP TABLE Student; --",
        "$rows",
        "\\",
        "\\u0027",
        "null",
        " leading and trailing ",
        "école 数学 🙂",
        "e\u0301cole",
        "\u00e9cole",
        "x" * 128,
    ]
    events = [bystander] + [
        mastery_data(text, text, 2, tenant_id=text, session_id=text, scale=text) for text in hostile
    ]

    await graph.merge(changes_of(events))

    await assert_holds(graph, events)


async def test_given_values_at_their_ends_then_they_come_back_as_they_were(graph: Graph) -> None:
    events = [
        mastery_data(
            "least",
            version=1,
            mastery=5e-324,
            attempts=1,
            last_answered_at=datetime(1, 1, 1, tzinfo=UTC),
            ability={"scale": "m", "theta": -6.0, "standard_error": 0.0, "previous_theta": 0.0},
            session={"responses": 0, "correct": 0},
        ),
        mastery_data(
            "most",
            version=2**63 - 1,
            mastery=1.0,
            attempts=2**63 - 1,
            last_answered_at=datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
            ability={"scale": "m", "theta": 1.7e308, "standard_error": 1.0, "previous_theta": 0.0},
            session={"responses": 2**63 - 1, "correct": 2**63 - 1},
        ),
        mastery_data("whole", version=300, mastery=0, attempts=70_000),
    ]

    for event in events:
        await graph.merge(changes_of([event]))

    await assert_holds(graph, events)
    mastery = {one.key.student_id: one.mastery[0] for one in await graph.stored()}
    assert mastery["least"].mastery == 5e-324
    assert type(mastery["whole"].mastery) is float


async def test_given_a_version_beyond_64_bits_then_nothing_of_the_batch_is_stored(
    graph: Graph,
) -> None:
    fine, too_large = mastery_data("anna"), mastery_data("zoe", version=2**63)

    with pytest.raises(OverflowError):
        await graph.merge(changes_of([fine, too_large]))

    assert await everything(graph) == ([], [])
    await graph.merge(changes_of([fine]))
    await assert_holds(graph, [fine])


async def test_given_clients_that_merge_the_same_learners_at_once_then_none_fails_for_good(
    graph: Graph, open_graph: Open
) -> None:
    several = type(graph).__name__ != "EmbeddedGraph"
    clients = [open_graph() for _ in range(3)] if several else [graph] * 3
    events = history(400, students=12)
    batches = [random.Random(k).sample(events, len(events)) for k in range(3)]
    try:
        await asyncio.gather(
            *(
                merge_until_done(client, changes_of(batch[start : start + 50]))
                for client, batch in zip(clients, batches, strict=True)
                for start in range(0, len(batch), 50)
            )
        )
    finally:
        for client in clients:
            if client is not graph:
                await client.close()

    await assert_holds(graph, events)


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_given_pages_of_any_size_when_read_one_after_the_other_then_nothing_is_left_out(
    graph: Graph, limit: int
) -> None:
    events = history(60)
    await graph.merge(changes_of(events))

    learners: list[StoredLearner] = []
    while page := await graph.stored(learners[-1].key if learners else None, limit):
        assert len(page) <= limit
        learners += page
    sessions: list[StoredSession] = []
    while more := await graph.sessions(sessions[-1].key if sessions else None, limit):
        assert len(more) <= limit
        sessions += more

    model = expected(events)
    assert (learners, sessions) == (model.learners(), model.sessions())


async def test_given_an_empty_graph_then_there_is_nothing_to_read(graph: Graph) -> None:
    assert await everything(graph) == ([], [])


async def test_given_nothing_to_merge_then_nothing_happens(graph: Graph) -> None:
    await graph.merge([])

    assert await everything(graph) == ([], [])


async def test_given_only_a_practised_concept_then_session_and_concept_are_there(
    graph: Graph,
) -> None:
    await graph.merge([PractisedChange("t", "s", "c")])

    assert await graph.sessions() == [StoredSession(SessionKey("t", "s"), ["c"])]


async def test_given_a_prepared_graph_when_prepared_again_then_its_content_stays(
    graph: Graph,
) -> None:
    events = history(10)
    await graph.merge(changes_of(events))

    await asyncio.gather(*(graph.prepare() for _ in range(3)))

    await assert_holds(graph, events)


async def test_given_a_prepared_graph_then_it_answers_and_has_no_faults(graph: Graph) -> None:
    await graph.ping()

    assert await graph.faults() == []
    assert await everything(graph) == ([], [])


async def test_given_a_closed_graph_when_closed_again_or_used_then_it_says_so(
    graph: Graph,
) -> None:
    await graph.close()
    await graph.close()

    for use in (graph.ping, graph.prepare, graph.stored, lambda: graph.merge(changes_of([]))):
        with pytest.raises(GraphRefused, match="closed"):
            await use()
