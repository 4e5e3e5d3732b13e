"""A graph is reconciled while answers come in: nothing true is taken away, nothing is missed."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.factories import answer, uuid_of
from tests.support.school import KEYS, School
from workers.estimation.learner import LearnerKey, Response
from workers.graph.changes import PractisedChange
from workers.graph.protocol import Graph, SessionKey, StoredLearner
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.rows import Stored


class BusyLedger(MemoryLedger):
    """A ledger in which something happens just after it was read for a comparison."""

    def __init__(self, happens: Any) -> None:
        super().__init__()
        self.happens = happens

    async def stored(
        self, keys: Sequence[LearnerKey], most_answers: int | None = None
    ) -> list[Stored]:
        rows = await super().stored(keys, most_answers)
        happens, self.happens = self.happens, None
        if happens is not None:
            await happens()
        return rows


async def test_given_an_event_a_wrong_version_kept_out_then_it_is_there_at_last(
    graph: Graph,
) -> None:
    ledger = BusyLedger(None)
    school = School(ledger, graph)
    key = KEYS[0]
    await school.record(key, [answer(n) for n in range(3)])
    await school.project()
    change = await school.mastery(key)
    await graph.merge([change._replace(version=10**6)])
    ahead = await school.mastery(key)

    async def another_answer() -> None:
        await school.record(key, [answer(3)])
        await school.project()
        assert await school.mastery(key) == ahead, "the guard kept the event out"

    ledger.happens = another_answer
    outcome = await school.reconcile()

    assert outcome.kinds[0] == "ahead"
    assert (await school.mastery(key)).attempts == 4
    await school.assert_equal()


async def test_given_events_between_the_two_readings_then_none_counts_as_wrong(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = BusyLedger(None)
    school = School(ledger, graph)
    key = KEYS[0]
    await school.record(key, [answer(0, session="s")])
    await school.project()
    read = graph.learners
    number = 0

    async def one_more() -> None:
        nonlocal number
        number += 1
        await school.record(key, [answer(number, session="s", concepts=("c", f"new-{number}"))])
        await school.project()

    async def then_one_more(keys: Sequence[LearnerKey]) -> list[StoredLearner]:
        learners = await read(keys)
        await one_more()
        ledger.happens = one_more
        return learners

    monkeypatch.setattr(graph, "learners", then_one_more)
    ledger.happens = one_more
    outcome = await school.reconcile()

    assert number > 1
    assert set(outcome.kinds) <= {"behind", "missing"}
    assert not outcome.left
    await school.assert_equal()


async def test_given_a_response_after_the_comparison_then_its_concept_stays(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = School(MemoryLedger(), graph)
    for key in KEYS[:2]:
        await school.record(key, [answer(0, session="s")])
    await school.project()
    pages = graph.students
    late = Response(uuid_of("late"), "s", "i", ("late",), "default", 1.0, 10**15)

    async def after_a_late_one(
        after: LearnerKey | None = None, limit: int = 500
    ) -> list[LearnerKey]:
        if late.response_id not in school.ledger._accounts[KEYS[0]].log:
            await school.record(KEYS[0], [late])
            await school.project()
        return await pages(after, limit)

    monkeypatch.setattr(graph, "students", after_a_late_one)
    outcome = await school.reconcile()

    assert not outcome.differences
    await school.assert_equal()


async def test_given_a_concept_practised_during_its_removal_then_it_is_there(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = BusyLedger(None)
    school = School(ledger, graph)
    await school.record(KEYS[0], [answer(0, session="s")])
    await school.project()
    await graph.merge([PractisedChange("t1", "s", "x")])
    asked = graph.attendees

    async def practise() -> None:
        await school.record(KEYS[0], [answer(1, session="s", concepts=("x",))])
        await school.project()

    async def then_practise(keys: Sequence[SessionKey]) -> dict[SessionKey, list[LearnerKey]]:
        if len(ledger._accounts[KEYS[0]].log) == 1:
            ledger.happens = practise
        return await asked(keys)

    monkeypatch.setattr(graph, "attendees", then_practise)
    outcome = await school.reconcile()

    assert outcome.kinds == ["stray"]
    await school.assert_equal()
