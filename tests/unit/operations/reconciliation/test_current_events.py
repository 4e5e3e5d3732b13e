"""Current values as events: those that said so first where there are any, else new ones."""

import json
from typing import Any
from uuid import UUID

from contracts.mastery import MasteryChanged
from tests.support.calibrated import LAST_STEP
from tests.support.factories import answer, learner_log
from tests.support.graph_events import DictGraph
from tests.support.ledger_steps import record
from workers.estimation.learner import LearnerKey
from workers.estimation.person_fit import person_fit
from workers.graph.changes import changes_of
from workers.graph.protocol import StoredLearner
from workers.ledger.current import Current
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.reconciliation.comparison import expected
from workers.operations.reconciliation.current_events import current_events
from workers.publishing.mastery_events import restated_events

KEY = LearnerKey("t", "s")
NOW_US = 1_800_000_000_000_000


async def current_of(ledger: MemoryLedger) -> Current:
    (learner,) = await ledger.current([KEY])
    return learner


def parsed(events: list[bytes]) -> list[dict[str, Any]]:
    for event in events:
        MasteryChanged.model_validate_json(event)
    return [json.loads(event) for event in events]


def graph_of(events: list[bytes]) -> StoredLearner:
    graph = DictGraph()
    for event in events:
        graph.apply(changes_of([MasteryChanged.model_validate_json(event).data]))
    (learner,) = graph.learners()
    return learner


async def test_given_a_log_then_its_events_carry_all_current_values_and_own_ids() -> None:
    for seed in range(20):
        ledger = MemoryLedger()
        log = learner_log(30, seed=seed, concepts=6)
        for part in (log[:10], log[20:], log[10:20]):  # the last part is late
            await record(ledger, KEY, part)
        every = {
            event
            for recorded in ledger._accounts[KEY].log.values()
            for event in restated_events(
                KEY, recorded, {c["concept_id"] for c in recorded.outcome["concepts"]}
            )
        }

        restated = current_events(await current_of(ledger), NOW_US)

        assert set(restated.events) <= every
        assert len(restated.events) == len(set(restated.events)) < len(every)
        assert restated.unpublished == 0
        versions = [event["data"]["version"] for event in parsed(restated.events)]
        assert versions == sorted(versions)
        (stored,) = await ledger.stored([KEY])
        wanted = expected(stored)
        for relationships in (wanted.mastery, wanted.abilities, wanted.attendance):
            relationships.sort()
        assert graph_of(restated.events) == wanted


async def test_given_calibrated_states_then_both_scales_of_a_concept_come() -> None:
    for seed in range(20):
        ledger = MemoryLedger()
        log = learner_log(30, seed=seed, concepts=6)
        for part in (log[:10], log[20:], log[10:20]):  # the last part is late
            await record(ledger, KEY, part, LAST_STEP)

        restated = current_events(await current_of(ledger), NOW_US)

        (stored,) = await ledger.stored([KEY])
        wanted = expected(stored)
        for relationships in (wanted.mastery, wanted.abilities, wanted.attendance):
            relationships.sort()
        assert restated.unpublished == 0
        assert graph_of(restated.events) == wanted


async def test_given_rewritten_calibrated_rows_then_their_event_has_certainty() -> None:
    ledger = MemoryLedger()
    log = [answer(n, concepts=("c0",), score=float(n % 3 > 0)) for n in range(12)]
    await record(ledger, KEY, log, LAST_STEP)
    account = ledger._accounts[KEY]
    account.concepts["c0"] = account.concepts["c0"]._replace(version=50)
    account.abilities["default"] = account.abilities["default"]._replace(version=50)

    (event,) = parsed(current_events(await current_of(ledger), NOW_US).events)

    row = account.concepts["c0"]
    low, high = row.mastery_low, row.mastery_high
    assert event["data"]["mastery_interval"] == {"low": low, "high": high}
    fit = person_fit(account.abilities["default"].state)
    assert event["data"]["ability"]["person_fit"] == fit is not None


async def test_given_an_ability_of_no_current_concept_then_its_event_comes_too() -> None:
    ledger = MemoryLedger()
    await record(ledger, KEY, [answer(0, scale="math", session="s-1")])
    await record(ledger, KEY, [answer(1, scale="verbal", session="s-2")])

    event, two = parsed(current_events(await current_of(ledger), NOW_US).events)

    assert (event["data"]["ability"]["scale"], event["data"]["session_id"]) == ("math", "s-1")
    assert (two["data"]["ability"]["scale"], two["data"]["session_id"]) == ("verbal", "s-2")
    assert event["data"]["version"] < two["data"]["version"]


async def rewritten(*columns: str) -> tuple[MemoryLedger, Current]:
    """A learner of whom a correction has written some rows anew, with a version of its own."""
    ledger = MemoryLedger()
    await record(ledger, KEY, [answer(0, session="s-1", score=0.0), answer(1, concepts=("d",))])
    await record(ledger, KEY, [answer(2, session="s-1")])
    account = ledger._accounts[KEY]
    if "concept" in columns:
        account.concepts["c"] = account.concepts["c"]._replace(mastery=0.123, version=50)
    if "ability" in columns:
        account.abilities["default"] = account.abilities["default"]._replace(theta=1.5, version=50)
    if "session" in columns:
        account.sessions["s-1"] = account.sessions["s-1"]._replace(correct=1, version=50)
    return ledger, await current_of(ledger)


async def test_given_rows_written_anew_then_their_event_is_made_of_them() -> None:
    ledger, current = await rewritten("concept", "ability", "session")

    restated = current_events(current, NOW_US)

    other, own = parsed(restated.events)
    assert other["data"]["concept_id"] == "d"
    assert UUID(own["id"]).version == 5
    data = own["data"]
    assert (data["mastery"], data["previous_mastery"], data["version"]) == (0.123, 0.123, 50)
    assert (data["attempts"], data["transition"], data["cause"]) == (2, "none", "rebuild")
    assert data["ability"]["theta"] == data["ability"]["previous_theta"] == 1.5
    assert (data["session_id"], data["session"]) == ("s-1", {"responses": 2, "correct": 1})
    assert data["response_id"] == answer(2).response_id
    assert own["time"] == "2027-01-15T08:00:00.000000Z"
    assert restated.unpublished == 0
    assert graph_of(restated.events) == expected((await ledger.stored([KEY]))[0])
    again = parsed(current_events(current, NOW_US + 1).events)
    assert [event["id"] for event in again] == [other["id"], own["id"]]


async def test_given_another_version_then_the_event_has_another_id() -> None:
    ledger, current = await rewritten("concept")
    first = parsed(current_events(current, NOW_US).events)[-1]
    account = ledger._accounts[KEY]
    account.concepts["c"] = account.concepts["c"]._replace(version=51)

    second = parsed(current_events(await current_of(ledger), NOW_US).events)[-1]

    assert first["id"] != second["id"]


async def test_given_only_one_rewritten_concept_then_the_rest_keeps_its_events() -> None:
    _, current = await rewritten("concept")

    restated = current_events(current, NOW_US)

    events = parsed(restated.events)
    own = events[-1]["data"]
    assert own["version"] == 50
    assert "session" not in own
    assert own["ability"]["theta"] == current.abilities[0].theta
    carrier = next(event["data"] for event in events if event["data"]["version"] == 3)
    assert carrier["session"] == {"responses": 2, "correct": 1}
    assert restated.unpublished == 0


async def test_given_a_rewritten_scale_or_session_alone_then_it_is_unpublished() -> None:
    _, current = await rewritten("ability", "session")

    restated = current_events(current, NOW_US)

    assert restated.unpublished == 2
    assert [event["data"]["version"] for event in parsed(restated.events)] == [2, 3]


async def test_given_a_value_that_its_response_did_not_say_then_the_row_counts() -> None:
    ledger, _ = await rewritten()
    account = ledger._accounts[KEY]
    account.concepts["c"] = account.concepts["c"]._replace(mastery=0.5)

    data = parsed(current_events(await current_of(ledger), NOW_US).events)[-1]["data"]

    assert (data["concept_id"], data["mastery"]) == ("c", 0.5)


async def test_given_a_row_without_any_response_then_it_counts_as_unpublished() -> None:
    _, current = await rewritten("concept")
    current.responses.clear()

    restated = current_events(current, NOW_US)

    assert restated.events == []
    assert restated.unpublished == 4
