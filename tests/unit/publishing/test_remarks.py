"""Remarks of events: intervals, unusual answers, wheel spinning."""

import json
from typing import Any

import pytest

from contracts.mastery import MasteryChanged
from tests.support.calibrated import LAST_STEP
from tests.support.doubles import admitted, events_of, fast_retrying, key_of
from tests.support.doubles import record as record_batch
from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import record
from workers.engine.recorder import Recorder
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import Parameters
from workers.estimation.person_fit import person_fit
from workers.ledger.memory.ledger import MemoryLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.publishing.mastery_events import restated_events
from workers.publishing.remarks import with_remarks

KEY = LearnerKey("t", "s")


async def told(ledger: MemoryLedger, key: LearnerKey = KEY) -> list[dict[str, Any]]:
    """The data of all events about a learner."""
    events = []
    for recorded in ledger._accounts[key].log.values():
        concepts = {change["concept_id"] for change in recorded.outcome["concepts"]}
        for event in restated_events(key, recorded, concepts):
            MasteryChanged.model_validate_json(event)
            events.append(json.loads(event)["data"])
    return events


def data(attempts: int = 3, *, mastered: bool = False, fit: float | None = None) -> dict[str, Any]:
    of_scale = {"theta": 0.5, "standard_error": 0.25}
    if fit is not None:
        of_scale["person_fit"] = fit
    return with_remarks({"attempts": attempts, "mastered": mastered, "ability": of_scale})


def test_given_an_ability_then_its_interval_is_95_percent_of_a_normal() -> None:
    interval = data()["ability"]["interval"]
    assert interval["low"] == pytest.approx(0.5 - 1.96 * 0.25, abs=1e-4)
    assert interval["high"] == pytest.approx(0.5 + 1.96 * 0.25, abs=1e-4)


@pytest.mark.parametrize(
    ("attempts", "mastered", "spinning"),
    [(9, False, False), (10, False, True), (10, True, False), (50, False, True), (0, False, False)],
)
def test_given_many_attempts_without_mastery_then_it_says_wheel_spinning(
    attempts: int, mastered: bool, spinning: bool
) -> None:
    assert data(attempts, mastered=mastered).get("wheel_spinning", False) is spinning


@pytest.mark.parametrize(
    ("fit", "unusual"), [(None, False), (-2.9, False), (-3.1, True), (3.1, False)]
)
def test_given_a_fit_far_below_0_then_it_says_unusual_answers(
    fit: float | None, unusual: bool
) -> None:
    assert data(fit=fit).get("unusual_answers", False) is unusual


async def test_given_calibrated_parameters_then_events_say_how_sure_all_is() -> None:
    ledger, log = MemoryLedger(), learner_log(30, seed=3)
    await record(ledger, KEY, log, LAST_STEP)

    events = await told(ledger)

    for data in events:
        if data["concept_id"] == "c1":  # without a covariance
            assert "mastery_interval" not in data
        else:
            interval = data["mastery_interval"]
            assert 0.0 <= interval["low"] <= data["mastery"] <= interval["high"] <= 1.0
    newest = max(
        (data_of_event for data_of_event in events if data_of_event["ability"]["scale"] == "math"),
        key=_version,
    )
    (stored,) = await ledger.stored([KEY])
    (math,) = (row for row in stored.abilities if row.scale == "math")
    assert newest["ability"]["person_fit"] == person_fit(math.state)


async def test_given_a_late_answer_on_two_scales_then_both_abilities_are_told() -> None:
    ledger = MemoryLedger()
    log = [
        answer(n, concepts=("c0", "c2")[n % 3 == 2 :][:1], scale=("math", "verbal")[n % 2])
        for n in range(8)
    ]
    await record(ledger, KEY, log, LAST_STEP)
    late = answer(50, concepts=("c0",), scale="math", score=0.0, at=-1)

    (version,) = await record(ledger, KEY, [late], LAST_STEP)

    of_late = [data for data in await told(ledger) if data["version"] == version]
    (stored,) = await ledger.stored([KEY])
    thetas = {row.scale: row.theta for row in stored.abilities}
    assert {data["ability"]["scale"]: data["ability"]["theta"] for data in of_late} == thetas
    assert {row.version for row in stored.abilities} == {version}


async def test_given_one_concept_of_two_scales_then_the_other_is_stored_untold() -> None:
    ledger = MemoryLedger()
    log = [answer(n, concepts=("c0",), scale=("math", "verbal")[n % 2]) for n in range(4)]
    await record(ledger, KEY, log, LAST_STEP)
    late = answer(50, concepts=("c0",), scale="math", at=-1)

    (version,) = await record(ledger, KEY, [late], LAST_STEP)

    (only,) = [data for data in await told(ledger) if data["version"] == version]
    assert only["ability"]["scale"] == "math"
    (stored,) = await ledger.stored([KEY])
    assert {row.version for row in stored.abilities} == {version}


async def test_given_the_default_then_neither_interval_nor_fit_is_published() -> None:
    ledger = MemoryLedger()
    recorder = Recorder(
        ledger=ledger, parameters=Parameters(), retrying=fast_retrying(), meter=EngineMetrics("0")
    )
    entries = [admitted(number=n, correct=False) for n in range(12)]

    results = await record_batch(recorder, entries)

    events = [event["data"] for result in results for event in events_of(result)]
    assert all("mastery_interval" not in event for event in events)
    assert all("person_fit" not in event["ability"] for event in events)
    assert [event.get("wheel_spinning", False) for event in events] == [False] * 9 + [True] * 3
    (stored,) = await ledger.stored([key_of()])
    outcomes = [recorded.outcome for recorded in ledger._accounts[stored.key].log.values()]
    for outcome in outcomes:
        (change,) = outcome["concepts"]
        assert outcome["probability_correct"] == change["probability_correct"]


def _version(data: dict[str, Any]) -> int:
    return int(data["version"])
