"""States under calibrated parameters come back as they went in, whatever happens to the log."""

import asyncio
import random
import sys
from dataclasses import replace

import pytest

from tests.integration.ledger.conftest import OpenLedger
from tests.support.calibrated import IRT, LAST_STEP
from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import (
    assert_stored,
    commit,
    commit_of,
    folded,
    load,
    persist,
    record,
    stored,
)
from workers.estimation.ability import AbilityEstimate, AbilityState
from workers.estimation.learner import ConceptState, Learner, LearnerKey
from workers.estimation.parameters import Parameters
from workers.estimation.person_fit import person_fit
from workers.estimation.replay import replay
from workers.ledger.exchange import Loaded
from workers.ledger.protocol import Ledger
from workers.operations.repair.correcting import Corrector, Verdict
from workers.operations.repair.rebuilding import Rebuilder

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALIBRATED = pytest.mark.parametrize("parameters", [LAST_STEP, IRT], ids=["last-step", "irt"])


@CALIBRATED
async def test_given_any_order_and_two_workers_then_the_state_is_the_replay(
    open_ledger: OpenLedger, key: LearnerKey, parameters: Parameters
) -> None:
    ledgers = open_ledger(), open_ledger()
    log = learner_log(45, seed=41, concepts=4)
    arrivals = random.Random(42).sample(log, len(log))
    parts = [arrivals[at : at + 5] for at in range(0, len(log), 5)]

    for part, other in zip(parts[::2], [*parts[1::2], parts[0]], strict=True):
        # The last of them is a repeat.
        await asyncio.gather(
            persist(ledgers[0], key, part, parameters=parameters),
            persist(ledgers[1], key, other, parameters=parameters),
        )

    await assert_stored(ledgers[0], key, log, parameters)
    loaded = await load(ledgers[0], key, [answer(99, concepts=("c0", "c1", "c2", "c3"))])
    replayed = replay(log, parameters)
    assert loaded.learner.concepts == replayed.concepts
    late = await load(ledgers[0], key, [answer(99, at=-1)])
    assert late.learner.concepts == replayed.concepts
    assert late.learner.abilities == replayed.abilities


async def test_given_a_concept_of_two_scales_and_a_late_answer_then_both_follow(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = [answer(n, concepts=("c0",), scale=("math", "verbal")[n % 2]) for n in range(6)]
    late = answer(50, concepts=("c0",), scale="math", score=0.0, at=-1)
    await record(ledger, key, log, LAST_STEP)
    before = {row.scale: row.theta for row in (await stored(ledger, key)).abilities}

    await record(ledger, key, [late], LAST_STEP)

    learner = await assert_stored(ledger, key, [late, *log], LAST_STEP)
    assert all(row.theta != before[row.scale] for row in learner.abilities)
    assert {row.version for row in learner.abilities} == {learner.version}


@CALIBRATED
async def test_given_corrections_and_lost_rows_then_the_state_is_exactly_right(
    ledger: Ledger, key: LearnerKey, parameters: Parameters
) -> None:
    log = learner_log(30, seed=43)
    await record(ledger, key, log, parameters)
    for verdict, at in ((Verdict("void", "why"), 4), (Verdict("rescore", "why", 0.25), 9)):
        corrector = Corrector(ledger=ledger, parameters=parameters, verdict=verdict)
        (done,) = await corrector.correct([(key, log[at].response_id)])
        assert done.ending == "corrected"
    counts = [*log[:4], *log[5:9], log[9]._replace(score=0.25), *log[10:]]
    learner = await assert_stored(ledger, key, counts, parameters)
    assert (learner.altered, learner.unsealed) == ([], 0)

    await persist(ledger, key, [answer(70, concepts=("c0",))], parameters=parameters)
    counts.append(answer(70, concepts=("c0",)))
    await assert_stored(ledger, key, counts, parameters)
    before = await stored(ledger, key)
    rebuilder = Rebuilder(ledger=ledger, parameters=parameters)
    assert [page.repaired async for page in rebuilder.rebuild(key)] == [[]]
    assert await stored(ledger, key) == before


async def test_given_a_calibrated_state_rebuilt_as_classical_then_none_is_left(
    ledger: Ledger, key: LearnerKey
) -> None:
    classical = Parameters()
    log = learner_log(20, seed=44)
    await record(ledger, key, log, LAST_STEP)
    assert any(row.gradient and row.recent for row in (await stored(ledger, key)).concepts)

    for parameters in (classical, LAST_STEP, classical):
        rebuilder = Rebuilder(ledger=ledger, parameters=parameters)
        assert [page.repaired async for page in rebuilder.rebuild(key)] == [[key]]
        learner = await assert_stored(ledger, key, log, parameters)
        assert (learner.altered, learner.unsealed) == ([], 0)

    assert {row[9:] for row in learner.concepts} == {(0.0, 0.0, (), 0.0, 0.0, None, None)}
    assert {row[7:] for row in learner.abilities} == {(0.0, 0.0, 0.0)}


async def test_given_intervals_and_surprises_then_they_are_with_what_is_current(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(40, seed=45)
    await record(ledger, key, log, LAST_STEP)

    (current,) = await ledger.current([key])

    learner = await stored(ledger, key)
    assert {row.concept_id: row.interval for row in current.concepts} == {
        row.concept_id: None
        if row.mastery_low is None or row.mastery_high is None
        else (row.mastery_low, row.mastery_high)
        for row in learner.concepts
    }
    assert [row.concept_id for row in current.concepts if row.interval is None] == ["c1"]
    fits = {row.scale: row.person_fit for row in current.abilities}
    assert fits == {row.scale: person_fit(row.state) for row in learner.abilities}
    assert fits["math"] is not None


@pytest.mark.parametrize(
    "number", [1 / 3, 5e-324, sys.float_info.min, 1 - 2**-53, 1.7e308, 0.1 + 0.2]
)
async def test_given_any_float_then_each_column_keeps_its_bits(
    ledger: Ledger, key: LearnerKey, number: float
) -> None:
    response = answer(1)
    made = folded(key, Loaded(Learner()), [response])
    low = number if number < 1 else 0.0
    gradient = (number, 0.0, -number, 1e-300, 5.0)
    state = ConceptState(
        0.75, 3, 1, response.answered_at_us, -number, number, gradient, number, -number
    )
    ability = AbilityState(1, 1.0, -number, number, -number, number)
    made.folded.learner.concepts["c"] = state
    made.folded.learner.abilities["default"] = ability
    made.folded.estimates["default"] = AbilityEstimate(-number, number)
    (change,) = made.folded.outcomes[0].concepts
    made.folded.outcomes[0] = made.folded.outcomes[0]._replace(
        concepts=(change._replace(interval=(low, 1.0)),)
    )

    await commit(ledger, commit_of(made.folded))

    row = await stored(ledger, key)
    assert row.concepts[0].state == state
    assert (row.concepts[0].mastery_low, row.concepts[0].mastery_high) == (low, 1.0)
    assert row.abilities[0].state == ability
    loaded = await load(ledger, key, [response])
    assert loaded.learner.concepts["c"] == state
    assert loaded.learner.abilities["default"] == ability
    assert all(isinstance(value, float) for value in [*state.gradient, *ability[1:]])


async def test_given_mixed_learners_in_one_commit_then_each_keeps_its_own(
    ledger: Ledger, tenant: str
) -> None:
    log = [answer(n, concepts=("c0", "c1"), scale=("math", "verbal")[n % 2]) for n in range(4)]
    keys = [LearnerKey(tenant, name) for name in ("a", "b")]
    none = replace(IRT, scales={}, items={})
    made = [
        folded(key, Loaded(Learner()), log, parameters=parameters)
        for key, parameters in zip(keys, (LAST_STEP, none), strict=True)
    ]

    await commit(ledger, *made)

    await assert_stored(ledger, keys[0], log, LAST_STEP)
    await assert_stored(ledger, keys[1], log, none)


async def test_given_calibrated_states_then_the_export_has_their_columns(
    ledger: Ledger, key: LearnerKey
) -> None:
    await record(ledger, key, learner_log(20, seed=46), LAST_STEP)

    concepts = await ledger.rows_of(key, "concept_mastery")
    abilities = await ledger.rows_of(key, "student_ability")

    learner = await stored(ledger, key)
    assert any(row.recent and row.lasting for row in learner.concepts)
    exported = {row["concept_id"]: row for row in concepts}
    for row in learner.concepts:
        row_exported = exported[row.concept_id]
        assert row_exported["deviation"] == row.deviation
        assert row_exported["deviation_variance"] == row.deviation_variance
        assert row_exported["gradient"] == (list(row.gradient) or None)
        assert (row_exported["recent"], row_exported["lasting"]) == (
            row.recent or None,
            row.lasting or None,
        )
        assert (row_exported["mastery_low"], row_exported["mastery_high"]) == (
            row.mastery_low,
            row.mastery_high,
        )
    assert {
        row["scale"]: (row["variance"], row["surprise"], row["surprise_variance"])
        for row in abilities
    } == {row.scale: row[7:] for row in learner.abilities}
