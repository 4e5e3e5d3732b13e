"""Contract of every graph."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.support.graph_contents import assert_holds, everything, expected, history
from tests.support.graph_events import mastery_changed, mastery_data
from workers.common.errors import GraphRefused
from workers.estimation.learner import LearnerKey
from workers.graph.changes import (
    AbilityChange,
    AttendanceChange,
    MasteryChange,
    PractisedChange,
    changes_of,
)
from workers.graph.projector import Projector
from workers.graph.protocol import Graph, SessionKey, StoredLearner, StoredSession


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


async def test_given_two_tenants_with_the_same_ids_then_they_stay_apart(graph: Graph) -> None:
    data = mastery_data(tenant_id="t1", version=3)
    other = mastery_data(tenant_id="t2", version=8)

    await graph.merge(changes_of([data, other]))

    learners, sessions = await everything(graph)
    assert [learner.key.tenant_id for learner in learners] == ["t1", "t2"]
    assert [len(learner.mastery) for learner in learners] == [1, 1]
    assert [session.key.tenant_id for session in sessions] == ["t1", "t2"]
    await assert_holds(graph, [data, other])


async def test_given_a_shared_session_then_each_student_has_own_counts(graph: Graph) -> None:
    events = [
        mastery_data("anna", "c1", 4),
        mastery_data("bert", "c2", 7),
        mastery_data("anna", "c2", 9),
    ]

    await graph.merge(changes_of(events))

    learners, (session,) = await everything(graph)
    assert [(a.responses, a.correct) for learner in learners for a in learner.attendance] == [
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
    mastery = {learner.key.student_id: learner.mastery[0] for learner in await graph.stored()}
    assert mastery["least"].mastery == 5e-324
    assert type(mastery["whole"].mastery) is float


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_given_pages_of_any_size_when_read_in_turn_then_none_is_left_out(
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
