"""Rebuilds and checks on a ledger in memory: what is repaired, told, and left alone."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.calibrated import LAST_STEP
from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import PARAMETERS, record
from tests.support.repair_steps import (
    KEY,
    VOID,
    Overtaken,
    assert_counts,
    correct,
    ledger_with,
    stored,
    told,
)
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import Parameters
from workers.estimation.person_fit import person_fit
from workers.estimation.replay import replay
from workers.estimation.scales import ScaleParameters
from workers.ledger.corrections import Correction
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.repair.rebuilding import Rebuilder, Rebuilt
from workers.operations.repair.rewriting import rewriting
from workers.operations.repair.verifying import Verified, differences, verify


async def rebuilt(ledger: MemoryLedger, **options: Any) -> Rebuilt:
    rebuilder = Rebuilder(ledger=ledger, parameters=PARAMETERS, **options)
    rebuilt = Rebuilt()
    async for page in rebuilder.rebuild():
        rebuilt.learners += page.learners
        rebuilt.repaired += page.repaired
        rebuilt.damaged += page.damaged
    return rebuilt


async def test_given_a_scale_and_a_session_changed_alone_then_an_event_has_them() -> None:
    log = [
        answer(1, concepts=("a", "b"), scale="math", session="s1"),
        answer(2, concepts=("b",), scale="verbal", session="s2"),
        answer(3, concepts=("c",), scale="math", session="s1"),
    ]
    ledger = await ledger_with(log)
    account = ledger._accounts[KEY]
    account.abilities["verbal"] = account.abilities["verbal"]._replace(theta=float("nan"))
    account.sessions["s1"] = account.sessions["s1"]._replace(responses=9)
    account.concepts["c"] = account.concepts["c"]._replace(mastery=7.0)

    await rebuilt(ledger)

    data = {change["concept_id"]: change for change in await told(ledger)}
    assert data.keys() == {"b", "c"}
    assert data["b"]["ability"]["scale"] == "verbal"
    assert data["b"]["ability"]["previous_theta"] == pytest.approx(0.0, abs=1e-12)
    assert data["c"]["session_id"] == "s1"
    assert data["c"]["session"]["responses"] == 2
    assert data["c"]["previous_mastery"] == 0.25
    assert {change["cause"] for change in data.values()} == {"rebuild"}
    assert "correction" not in data["b"]


async def test_given_more_scales_than_concepts_then_reconcile_gets_the_rest() -> None:
    log = [answer(1, scale="math"), answer(2, scale="verbal")]
    ledger = await ledger_with(log)
    account = ledger._accounts[KEY]
    for scale, row in account.abilities.items():
        account.abilities[scale] = row._replace(theta=1.0)
    await rebuilt(ledger)
    assert [data["ability"]["scale"] for data in await told(ledger)] == ["math"]


async def test_given_wrong_lost_and_stray_rows_then_only_that_learner_changes() -> None:
    keys = [LearnerKey("school-7", f"s{n:03}") for n in range(150)]
    log = learner_log(20, seed=8)
    ledger = await ledger_with(log, *keys)
    account = ledger._accounts[keys[120]]
    account.concepts["c0"] = account.concepts["c0"]._replace(odds_exponent=30)
    account.concepts["stray"] = account.concepts["c1"]._replace(concept_id="stray")
    del account.concepts["c1"]
    account.last = None
    before = {key: await stored(ledger, key) for key in keys}

    assert (await rebuilt(ledger, dry_run=True)).repaired == [keys[120]]
    assert await stored(ledger, keys[120]) == before[keys[120]]
    outcome = await rebuilt(ledger)

    assert (outcome.learners, outcome.repaired, outcome.damaged) == (150, [keys[120]], [])
    learner = await stored(ledger, keys[120])
    assert list(differences(learner, replay(log, PARAMETERS), PARAMETERS)) == []
    assert learner.version > before[keys[120]].version
    assert {key for key in keys if await stored(ledger, key) != before[key]} == {keys[120]}
    # Of a concept that no answer ever named nobody was told.
    assert {data["concept_id"] for data in await told(ledger)} == {"c0", "c1"}
    assert (await rebuilt(ledger)).repaired == []


async def test_given_other_parameters_when_rebuilt_then_the_state_is_under_them() -> None:
    log = learner_log(10, seed=9)
    ledger = await ledger_with(log)
    other = Parameters(version=2)
    rebuilder = Rebuilder(ledger=ledger, parameters=other)
    (page,) = [page async for page in rebuilder.rebuild(KEY)]
    assert page.repaired == [KEY]
    assert list(differences(await stored(ledger), replay(log, other), other)) == []


async def test_given_calibrated_parameters_when_rebuilt_then_certainty_is_told() -> None:
    log = learner_log(40, seed=14)
    ledger = await ledger_with(log)
    rebuilder = Rebuilder(ledger=ledger, parameters=LAST_STEP)
    assert [page.repaired async for page in rebuilder.rebuild(KEY)] == [[KEY]]

    by_concept = {data["concept_id"]: data for data in await told(ledger)}

    learner = await stored(ledger)
    rows = {row.concept_id: row for row in learner.concepts}
    assert by_concept.keys() == rows.keys()
    for name, data in by_concept.items():
        row = rows[name]
        if row.mastery_low is None:
            assert "mastery_interval" not in data
        else:
            wanted = {"low": row.mastery_low, "high": row.mastery_high}
            assert data["mastery_interval"] == wanted
    fits = {row.scale: person_fit(row.state) for row in learner.abilities}
    for data in by_concept.values():
        assert data["ability"].get("person_fit") == fits[data["ability"]["scale"]]
    assert all(fits.values())


async def test_given_an_ability_above_6_then_rebuilt_events_name_it_as_previous() -> None:
    far = replace(LAST_STEP, any_scale=ScaleParameters(8.0, 2.0))
    log = learner_log(5, seed=15)
    ledger = MemoryLedger()
    await record(ledger, KEY, log, far)
    before = {row.scale: row.theta for row in (await stored(ledger)).abilities}
    assert max(before.values()) > 6.0

    rebuilder = Rebuilder(ledger=ledger, parameters=LAST_STEP)
    assert [page.repaired async for page in rebuilder.rebuild(KEY)] == [[KEY]]

    for data in await told(ledger):
        assert data["ability"]["previous_theta"] == before[data["ability"]["scale"]]


async def test_given_a_damaged_log_when_rebuilt_then_it_is_kept_unless_accepted() -> None:
    log = learner_log(10, seed=10)
    ledger = await ledger_with(log)
    await correct(ledger, VOID, log[4])
    del ledger._accounts[KEY].log[log[4].response_id]
    ledger._accounts[KEY].abilities.clear()

    assert (await rebuilt(ledger)).damaged == [KEY]
    assert (await stored(ledger)).abilities == []
    outcome = await rebuilt(ledger, accept_log=True)
    assert (outcome.repaired, outcome.damaged) == ([KEY], [])
    assert (await stored(ledger)).abilities != []


async def test_given_a_commit_in_between_when_rebuilt_then_it_is_rebuilt_again() -> None:
    log = learner_log(10, seed=11)
    late = answer(77, at=2)
    ledger = Overtaken(late)
    await record(ledger, KEY, log)
    ledger._accounts[KEY].sessions.clear()
    await rebuilt(ledger)
    await assert_counts(ledger, [*log, late])


async def test_given_a_state_that_is_right_then_there_is_nothing_to_rewrite() -> None:
    log = learner_log(10, seed=12)
    learner = await stored(await ledger_with(log))
    assert rewriting(learner, PARAMETERS) is None
    correction = Correction(log[0].response_id, "void", None, "why")
    assert rewriting(learner, PARAMETERS, correction) is not None


async def test_given_a_sample_or_one_learner_when_verified_then_only_these_count() -> None:
    keys = [LearnerKey("school-7", f"s{n:03}") for n in range(230)]
    ledger = await ledger_with(learner_log(3, seed=13), *keys)

    async def looked_at(**options: Any) -> list[int]:
        return [page.learners async for page in verify(ledger, PARAMETERS, **options)]

    assert await looked_at(sample=150) == [100, 50]
    assert await looked_at(sample=1000) == [100, 100, 30]
    assert await looked_at(only=keys[3]) == [1]


async def test_given_a_learner_with_an_older_version_than_a_row_then_it_is_named() -> None:
    log = learner_log(4, seed=14)
    learner = await stored(await ledger_with(log))
    differing = list(differences(replace(learner, version=1), replay(log, PARAMETERS), PARAMETERS))
    assert [difference.what for difference in differing] == ["learners.version"]
    counted = replace(learner, correction_count=1)
    differing = list(differences(counted, replay(log, PARAMETERS), PARAMETERS))
    assert "the number of rows of response_corrections is 0, there were 1" in str(differing[0])
    # Where the learner's row is lost nothing can be said of the log.
    lost = replace(counted, version=0)
    differing = list(differences(lost, replay(log, PARAMETERS), PARAMETERS))
    assert [difference.what for difference in differing] == [
        "learners.version",
        "the number of rows of response_corrections",
    ]


def test_given_a_page_then_rows_without_checksum_are_none_unless_said() -> None:
    assert Verified(1, 2, []).unsealed == 0
