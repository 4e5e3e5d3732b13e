"""The recorder: each response is applied once, and only its owner publishes."""

from collections.abc import Sequence
from typing import Any

import pytest

from contracts.mastery import MasteryChanged
from contracts.rejections import RejectionCode
from tests.support.doubles import (
    PARAMETERS,
    HookedLedger,
    admitted,
    by_entry,
    counted,
    entry_id,
    events_of,
    key_of,
    record,
    recorder,
    refusal_of,
)
from tests.support.factories import moment
from workers.admission.verdicts import Admitted
from workers.estimation.replay import replay
from workers.ledger.audit import AuditLedger
from workers.ledger.exchange import Commit, Touched
from workers.ledger.memory.ledger import MemoryLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.operations.repair.verifying import differences


async def assert_state(ledger: AuditLedger, *applied: Admitted) -> None:
    """The ledger has these responses of a learner and no others, and the state they give."""
    log = {
        admitted_entry.response.response_id: admitted_entry.response for admitted_entry in applied
    }
    (learner,) = await ledger.stored([applied[0].key])
    assert {response.response_id: response for response in learner.log} == log
    assert not list(differences(learner, replay(list(log.values()), PARAMETERS), PARAMETERS))


async def test_given_new_responses_then_each_publishes_one_event_per_concept() -> None:
    ledger, meter = MemoryLedger(), EngineMetrics("0")
    second = admitted("s1", 2, concept_ids=["a", "b"])
    other = admitted("s2", 2, entry=3)
    first = admitted("s1", 1, entry=4, concept_ids=["a"])

    results = by_entry(await record(recorder(ledger, meter), [second, other, first]))

    events = {name: events_of(result) for name, result in results.items()}
    assert [e["data"]["concept_id"] for e in events[entry_id(2)]] == ["a", "b"]
    assert [e["data"]["attempts"] for e in events[entry_id(2)]] == [2, 1]
    assert [e["data"]["attempts"] for e in events[entry_id(4)]] == [1]
    assert all(
        e["data"]["version"] == results[name].version for name in events for e in events[name]
    )
    # Entry 4 holds the earlier answer: it takes the lower version, whenever it came.
    assert 0 < results[entry_id(4)].version < results[entry_id(2)].version
    for name in events:
        for event in results[name].events:
            MasteryChanged.model_validate_json(event)
    await assert_state(ledger, first, second)
    await assert_state(ledger, other)
    assert counted(meter, "responses_applied") == 3
    assert counted(meter, "responses_duplicate") == counted(meter, "responses_late") == 0


async def test_given_a_late_response_when_recorded_then_it_tells_what_is_current() -> None:
    ledger, meter = MemoryLedger(), EngineMetrics("0")
    later = [admitted(number=n, concept_ids=["a"], correct=n % 2 == 0) for n in (3, 4, 5)]
    await record(recorder(ledger), later)
    late = admitted(number=1, entry=9, concept_ids=["a", "b"])

    (result,) = await record(recorder(ledger, meter), [late])

    await assert_state(ledger, *later, late)
    (learner,) = await ledger.stored([late.key])
    mastery = {row.concept_id: row.mastery for row in learner.concepts}
    of_a, of_b = events_of(result)
    assert of_a["data"]["mastery"] == mastery["a"]
    assert of_b["data"]["mastery"] == mastery["b"]
    assert (of_a["data"]["attempts"], of_a["data"]["answered_at"]) == (
        4,
        of_b["data"]["answered_at"],
    )
    assert of_a["data"]["last_answered_at"][:19] == moment(5)[:19]
    assert of_a["data"]["version"] == learner.version
    assert counted(meter, "responses_late") == 1


async def test_given_a_repeat_in_the_batch_then_the_first_entry_owns_it() -> None:
    ledger, meter = MemoryLedger(), EngineMetrics("0")
    entries = [admitted(number=1, entry=n) for n in (5, 6, 7)]

    results = by_entry(await record(recorder(ledger, meter), entries))

    assert [len(results[entry_id(n)].events) for n in (5, 6, 7)] == [1, 0, 0]
    assert all(result.refusal is None for result in results.values())
    await assert_state(ledger, entries[0])
    assert counted(meter, "responses_applied") == 1
    assert counted(meter, "responses_duplicate") == 2


async def test_given_a_repeat_in_a_later_batch_then_it_publishes_nothing() -> None:
    ledger, meter = MemoryLedger(), EngineMetrics("0")
    work = recorder(ledger, meter)
    await record(work, [admitted(number=1, entry=5)])

    results = by_entry(
        await record(work, [admitted(number=1, entry=8), admitted(number=2, entry=9)])
    )

    assert [len(results[entry_id(n)].events) for n in (8, 9)] == [0, 1]
    await assert_state(ledger, admitted(number=1), admitted(number=2))
    assert counted(meter, "responses_duplicate") == 1


async def test_given_the_owner_again_then_it_publishes_the_stored_outcome() -> None:
    ledger = MemoryLedger()
    entries = [admitted(number=n, concept_ids=["a", f"c{n}"]) for n in (1, 2)]
    first = by_entry(await record(recorder(ledger), entries))
    # What is current has changed since: the outcome has not.
    await record(recorder(ledger), [admitted(number=3, concept_ids=["a", "c1", "c2"])])

    again = by_entry(await record(recorder(ledger), entries))

    for name, result in first.items():
        assert again[name].version == result.version
        assert events_of(again[name]) == events_of(result)


async def test_given_the_owner_behind_its_repeat_in_a_batch_then_it_publishes() -> None:
    # Two workers died: one held entry 3 unread, the other had applied the response from entry 5.
    ledger = MemoryLedger()
    owner, repeat = admitted(number=1, entry=5), admitted(number=1, entry=3)
    (applied,) = await record(recorder(ledger), [owner])

    results = by_entry(await record(recorder(ledger), [repeat, owner]))

    assert results[entry_id(3)].events == ()
    assert events_of(results[entry_id(5)]) == events_of(applied)


DIFFERING: list[tuple[str, Any]] = [
    ("item_id", "another"),
    ("concept_ids", ["fractions.add", "more"]),
    ("scale", "verbal"),
    ("score", 0.25),
    ("session_id", "another"),
    ("session_id", None),
    ("answered_at", moment(0.001)),
]


@pytest.mark.parametrize(("field", "value"), DIFFERING)
async def test_given_a_known_response_with_another_content_then_it_is_a_conflict(
    field: str, value: Any
) -> None:
    ledger = MemoryLedger()
    known = admitted(number=0)
    await record(recorder(ledger), [known])
    changes: dict[str, Any] = {field: value}
    if field == "score":
        changes["correct"] = False

    (result,) = await record(recorder(ledger), [admitted(number=0, entry=5, **changes)])

    refusal = refusal_of(result)
    assert refusal.code is RejectionCode.CONFLICT
    assert refusal.field == f"data.response.{field}"
    assert f"with another {field}:" in refusal.reason
    assert known.response.response_id in refusal.reason
    await assert_state(ledger, known)


@pytest.mark.parametrize("known_before", [True, False])
async def test_given_a_response_id_twice_with_other_content_then_one_is_refused(
    known_before: bool,
) -> None:
    ledger = MemoryLedger()
    known = admitted(number=1)
    if known_before:
        await record(recorder(ledger), [known])
    other = admitted(number=1, entry=5, item_id="another")
    same = admitted(number=1, entry=6)
    order = [other, known, same] if known_before else [known, other, same]

    results = by_entry(await record(recorder(ledger), order))

    assert refusal_of(results[entry_id(5)]).field == "data.response.item_id"
    assert results[entry_id(1)].refusal is None
    assert len(results[entry_id(1)].events) == 1
    assert (results[entry_id(6)].refusal, results[entry_id(6)].events) == (None, ())
    await assert_state(ledger, known)


async def test_given_the_concepts_in_another_order_then_it_is_a_repeat() -> None:
    ledger = MemoryLedger()
    known = admitted(number=1, concept_ids=["a", "b"])
    await record(recorder(ledger), [known])
    turned = admitted(number=1, entry=5, concept_ids=["b", "a"])
    wrong = admitted(number=1, entry=6, concept_ids=["b", "a"], scale="verbal", item_id="x")

    (repeated,) = await record(recorder(ledger), [turned])
    (refused,) = await record(recorder(ledger), [wrong])

    assert (repeated.refusal, repeated.events) == (None, ())
    assert "with another item_id, scale:" in refusal_of(refused).reason


async def test_given_another_worker_in_between_then_it_is_folded_again() -> None:
    ledger, meter = HookedLedger(), EngineMetrics("0")
    mine = [admitted("s1", 2), admitted("s1", 5, entry=5), admitted("s2", 6, entry=6)]
    theirs = [admitted("s1", 3, entry=13), admitted("s1", 9, entry=19)]
    turns = iter(theirs)

    async def interfere(_: Sequence[Commit]) -> None:
        for turn in turns:
            await record(recorder(ledger.inner), [turn])
            return

    ledger.before_commit = interfere
    results = by_entry(await record(recorder(ledger, meter), mine))

    await assert_state(ledger.inner, *mine[:2], *theirs)
    await assert_state(ledger.inner, mine[2])
    assert ledger.commits == 3
    assert ledger.loads == 3
    assert counted(meter, "commit_conflicts") == 2
    assert counted(meter, "responses_applied") == 3
    assert all(len(result.events) == 1 and result.version for result in results.values())


async def test_given_a_known_and_a_new_response_in_conflict_then_each_ends_once() -> None:
    ledger = HookedLedger()
    known, new = admitted(number=1), admitted(number=4)
    await record(recorder(ledger.inner), [known])
    theirs = iter([admitted(number=6)])

    async def interfere(_: Sequence[Commit]) -> None:
        for rival in theirs:
            await record(recorder(ledger.inner), [rival])

    ledger.before_commit = interfere
    results = by_entry(await record(recorder(ledger), [known, new]))

    assert [len(results[entry_id(n)].events) for n in (1, 4)] == [1, 1]
    assert (ledger.loads, ledger.commits) == (2, 2)  # nothing had to be tried alone
    await assert_state(ledger.inner, known, new, admitted(number=6))


async def test_given_a_response_another_worker_commits_then_only_that_publishes() -> None:
    ledger = HookedLedger()
    theirs = iter([admitted(number=1, entry=30)])

    async def interfere(_: Sequence[Commit]) -> None:
        for rival in theirs:
            await record(recorder(ledger.inner), [rival])

    ledger.before_commit = interfere
    mine = [admitted(number=1, entry=5), admitted(number=1, entry=6, item_id="x")]
    results = by_entry(await record(recorder(ledger), mine))

    assert (results[entry_id(5)].refusal, results[entry_id(5)].events) == (None, ())
    assert refusal_of(results[entry_id(6)]).code is RejectionCode.CONFLICT


async def test_given_one_student_id_in_two_tenants_then_responses_stay_apart() -> None:
    ledger = MemoryLedger()
    entries = [admitted(number=1), admitted(number=1, entry=2, tenant_id="other", correct=False)]

    results = by_entry(await record(recorder(ledger), entries))

    (event,), (other,) = (events_of(results[entry_id(n)]) for n in (1, 2))
    assert event["id"] != other["id"]
    assert (event["data"]["tenant_id"], other["data"]["tenant_id"]) == ("school-7", "other")
    await assert_state(ledger, entries[0])
    await assert_state(ledger, entries[1])


async def test_given_a_batch_then_learners_and_responses_are_asked_for_once() -> None:
    ledger = HookedLedger()
    asked: list[Touched] = []

    async def look(touched: Sequence[Touched]) -> None:
        asked.extend(touched)

    ledger.before_load = look
    await record(
        recorder(ledger),
        [admitted("s1", 1), admitted("s2", 1, entry=2), admitted("s1", 1, entry=3)],
    )

    assert [learner.key for learner in asked] == [key_of("s1"), key_of("s2")]
    assert [len(task.responses) for task in asked] == [1, 1]
