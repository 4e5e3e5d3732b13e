"""Contract of every ledger: the same tests for all adapters."""

import random
from typing import Any

import pytest

from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import (
    assert_stored,
    by_id,
    commit,
    entry_of,
    folded,
    load,
    record,
    recorded_of,
    stored,
)
from workers.common.errors import Unstorable
from workers.estimation.learner import Learner, LearnerKey
from workers.ledger.exchange import FEW_STATES, Committed, Conflict, Loaded
from workers.ledger.protocol import Ledger

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_given_an_unknown_learner_when_loaded_then_there_is_nothing(
    ledger: Ledger, key: LearnerKey
) -> None:
    assert await load(ledger, key, [answer(1)]) == Loaded(Learner(), active_version=1, whole=True)
    learner = await stored(ledger, key)
    assert (learner.version, learner.last, learner.log, learner.concepts) == (0, None, [], [])


async def test_given_a_new_learner_when_committed_then_all_of_the_fold_is_stored(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(12, seed=1)

    versions = await record(ledger, key, log)

    learner = await assert_stored(ledger, key, log)
    assert versions == sorted(set(versions))
    assert len(versions) == 12
    assert learner.version == versions[-1]
    assert learner.last == log[-1].position
    rows = [*learner.concepts, *learner.abilities, *learner.sessions]
    assert all(getattr(row, "version", None) in versions for row in rows)


async def test_given_many_states_when_loaded_then_only_what_is_touched_comes(
    ledger: Ledger, key: LearnerKey
) -> None:
    many = tuple(f"c{number}" for number in range(FEW_STATES - 1))
    log = [
        answer(1, concepts=("a", *many[:15]), scale="math", session="s1"),
        answer(2, concepts=many[15:], scale="verbal", session="s2"),
    ]
    await record(ledger, key, log)
    new = [answer(4, concepts=("a", "new"), scale="math", session="s2")]

    whole = await load(ledger, key, new)
    await record(ledger, key, [answer(3, concepts=("one more",), scale="math")])
    loaded = await load(ledger, key, new)

    assert whole.whole
    assert whole.learner.concepts.keys() == {"a", *many}
    assert whole.learner.abilities.keys() == {"math", "verbal"}
    assert whole.learner.sessions.keys() == {"s2"}
    assert not loaded.whole
    assert loaded.learner.concepts.keys() == {"a"}
    assert loaded.learner.abilities.keys() == {"math"}
    assert loaded.learner.sessions.keys() == {"s2"}
    assert loaded.learner.last == answer(3).position
    assert (loaded.recorded, loaded.log) == ({}, None)


async def test_given_a_known_learner_then_states_and_versions_go_on(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(30, seed=2)

    versions = [
        version for at in range(0, 30, 5) for version in await record(ledger, key, log[at : at + 5])
    ]

    assert versions == sorted(set(versions))
    learner = await assert_stored(ledger, key, log)
    assert learner.version == versions[-1]


async def test_given_responses_in_any_order_then_versions_rise_in_learner_order(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(10, seed=3)
    shuffled = random.Random(3).sample(log, 10)

    await record(ledger, key, shuffled)

    known = (await load(ledger, key, shuffled)).recorded
    assert [known[r.response_id].version for r in log] == sorted(r.version for r in known.values())


async def test_given_a_stale_version_when_committed_then_nothing_is_stored(
    ledger: Ledger, key: LearnerKey
) -> None:
    first, second, third = answer(1), answer(2), answer(3)
    before = await load(ledger, key, [third])
    await record(ledger, key, [first])
    between = await load(ledger, key, [third])
    await record(ledger, key, [second])

    (of_new,) = await commit(ledger, folded(key, before, [third]))
    (of_known,) = await commit(ledger, folded(key, between, [third]))

    assert isinstance(of_new, Conflict)
    assert isinstance(of_known, Conflict)
    loaded = await load(ledger, key, [third])
    assert loaded.log is None
    await assert_stored(ledger, key, [first, second])
    (applied,) = await commit(ledger, folded(key, loaded, [third]))
    assert isinstance(applied, Committed)
    await assert_stored(ledger, key, [first, second, third])


async def test_given_a_conflict_and_a_late_response_then_log_and_state_come(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(8, seed=4)
    late = answer(100, concepts=("c0",), at=-5)
    before = await load(ledger, key, [late])
    await record(ledger, key, log)

    (conflict,) = await commit(ledger, folded(key, before, [late]))

    assert isinstance(conflict, Conflict)
    loaded = await load(ledger, key, [late])
    assert loaded.log is not None
    assert by_id(loaded.log) == by_id(log)
    assert loaded.learner.concepts.keys() == {c for one in log for c in one.concept_ids}
    assert loaded.learner.abilities.keys() == {one.scale for one in log}
    (applied,) = await commit(ledger, folded(key, loaded, [late]))
    assert isinstance(applied, Committed)
    await assert_stored(ledger, key, [*log, late])


async def test_given_known_responses_then_version_entry_and_outcome_come_back(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(6, seed=5)
    made = folded(key, await load(ledger, key, log), log)
    (committed,) = await commit(ledger, made)
    assert isinstance(committed, Committed)

    loaded = await load(ledger, key, [log[1], log[4], answer(50)])

    expected = recorded_of(made, committed.versions)
    assert loaded.recorded == {
        response.response_id: expected[response.response_id] for response in log[1:5:3]
    }
    assert loaded.recorded[log[1].response_id].entry == entry_of(log[1])


async def test_given_a_known_late_response_when_loaded_then_no_log_is_needed(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(5, seed=6)
    await record(ledger, key, log)

    loaded = await load(ledger, key, [log[0], answer(60)])

    assert loaded.recorded.keys() == {log[0].response_id}
    assert loaded.log is None


async def test_given_a_new_late_response_when_loaded_then_log_and_state_come(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(9, seed=7)
    await record(ledger, key, log)
    late = answer(100, concepts=("never seen",), at=4)

    loaded = await load(ledger, key, [late, log[3]])

    assert loaded.log is not None
    assert by_id(loaded.log) == by_id(log)
    assert loaded.learner.concepts.keys() == {c for response in log for c in response.concept_ids}
    assert loaded.recorded.keys() == {log[3].response_id}


async def test_given_answers_at_one_moment_then_the_response_id_decides_lateness(
    ledger: Ledger, key: LearnerKey
) -> None:
    low, middle, high = sorted(
        (answer(number, at=0) for number in range(3)), key=lambda response: response.response_id
    )
    await record(ledger, key, [middle])

    assert (await load(ledger, key, [low])).log == [middle]
    assert (await load(ledger, key, [high])).log is None
    await record(ledger, key, [high])
    await record(ledger, key, [low])
    learner = await assert_stored(ledger, key, [low, middle, high])
    assert learner.last == high.position


async def test_given_a_commit_of_unknown_outcome_when_repeated_then_it_is_known(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(4, seed=8)
    made = folded(key, await load(ledger, key, log), log)
    (first,) = await commit(ledger, made)
    assert isinstance(first, Committed)

    (again,) = await commit(ledger, made)

    assert isinstance(again, Conflict)
    loaded = await load(ledger, key, log)
    assert loaded.recorded == recorded_of(made, first.versions)
    assert loaded.log is None
    await assert_stored(ledger, key, log)


@pytest.mark.parametrize("defect", ["known", "score", "nul"])
async def test_given_an_unstorable_value_when_committed_then_nothing_is_stored(
    ledger: Ledger, tenant: str, defect: str
) -> None:
    good, bad = LearnerKey(tenant, "a"), LearnerKey(tenant, "b")
    await record(ledger, bad, [answer(1)])
    made = folded(bad, await load(ledger, bad, [answer(2)]), [answer(2)])
    other = folded(good, Loaded(Learner()), [answer(3)])
    changes: dict[str, dict[str, Any]] = {
        "known": {"response_id": answer(1).response_id},
        "score": {"score": 1.5},
        "nul": {"item_id": "i\0"},
    }
    made.folded.responses[0] = made.folded.responses[0]._replace(**changes[defect])

    with pytest.raises(Unstorable):
        await commit(ledger, other, made)

    assert (await stored(ledger, good)).version == 0
    await assert_stored(ledger, bad, [answer(1)])


async def test_given_a_ledger_when_pinged_then_it_answers(ledger: Ledger) -> None:
    await ledger.ping()
