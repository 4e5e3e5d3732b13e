"""Contract of every ledger: several learners and writers at once."""

import asyncio
import random

import pytest

from tests.integration.ledger.conftest import OpenLedger
from tests.support.factories import answer, learner_log, uuid_of
from tests.support.ledger_steps import (
    arrivals,
    assert_stored,
    by_id,
    commit,
    folded,
    load,
    persist,
    record,
)
from workers.estimation.learner import Learner, LearnerKey
from workers.ledger.exchange import Committed, Conflict, Loaded, Touched
from workers.ledger.protocol import Ledger

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_given_several_learners_and_one_conflict_then_others_are_applied(
    ledger: Ledger, tenant: str
) -> None:
    keys = [LearnerKey(tenant, f"s{number}") for number in (3, 1, 2)]
    logs = [learner_log(4, seed=number) for number in range(3)]
    states = await ledger.load([Touched(key, log[2:]) for key, log in zip(keys, logs, strict=True)])
    await record(ledger, keys[1], logs[1][:2])

    answers = await commit(
        ledger,
        *(folded(key, state, log[2:]) for key, state, log in zip(keys, states, logs, strict=True)),
    )

    assert [type(answer) for answer in answers] == [Committed, Conflict, Committed]
    await assert_stored(ledger, keys[0], logs[0][2:])
    await assert_stored(ledger, keys[1], logs[1][:2])
    await assert_stored(ledger, keys[2], logs[2][2:])


async def test_given_the_same_ids_in_two_tenants_then_they_stay_apart(
    ledger: Ledger, tenant: str
) -> None:
    first, other = LearnerKey(tenant, "s"), LearnerKey(f"{tenant}-2", "s")
    right, wrong = answer(1, score=1.0), answer(1, score=0.0)

    await record(ledger, first, [right])
    await record(ledger, other, [wrong])

    await assert_stored(ledger, first, [right])
    await assert_stored(ledger, other, [wrong])
    assert (await load(ledger, first, [right])).recorded[right.response_id].response.score == 1.0


async def test_given_no_learners_when_loaded_then_nothing_comes(ledger: Ledger) -> None:
    assert await ledger.load([]) == []
    assert await ledger.stored([]) == []


async def test_given_many_learners_when_loaded_then_answers_keep_their_places(
    ledger: Ledger, tenant: str
) -> None:
    keys = [LearnerKey(tenant, f"student {n}") for n in random.Random(9).sample(range(300), 300)]
    logs = [learner_log(3, seed=n) for n in range(300)]
    answers = await commit(
        ledger,
        *(folded(key, Loaded(Learner()), log) for key, log in zip(keys, logs, strict=True)),
    )

    loaded = await ledger.load([Touched(k, log) for k, log in zip(keys, logs, strict=True)])
    whole = await ledger.stored(keys)

    for key, log, committed, state, all_of_it in zip(
        keys, logs, answers, loaded, whole, strict=True
    ):
        assert isinstance(committed, Committed)
        assert state.learner.version == committed.versions[-1] == all_of_it.version
        assert all_of_it.key == key
        assert by_id(all_of_it.log) == by_id(log)
        assert {known.response for known in state.recorded.values()} == set(log)


async def test_given_learners_when_paged_then_each_comes_once_in_key_order(
    ledger: Ledger, tenant: str
) -> None:
    students = [
        "a",
        "a ",
        "a!",
        "aa",
        "A",
        "ab",
        "é",
        "z",
        "ß",
        "😀",
        "\uffee",
        "1",
        "10",
        "2",
        "_",
    ]
    keys = sorted(
        LearnerKey(name, student)
        for name in (tenant, f"{tenant}a", f"{tenant}!")
        for student in students
    )
    await commit(ledger, *(folded(key, Loaded(Learner()), [answer(1)]) for key in keys[::-1]))

    for limit in (1, 7, 1000):
        read, after = [], LearnerKey(tenant, "")
        while page := await ledger.learners(after, limit):
            assert len(page) <= limit
            read += page
            after = page[-1]
        assert [key for key in read if key.tenant_id.startswith(tenant)] == keys
    assert (await ledger.learners(None, 1)) == [min(await ledger.learners(limit=10_000))]


async def test_given_late_repeats_by_two_writers_at_once_then_no_update_is_lost(
    open_ledger: OpenLedger, tenant: str
) -> None:
    writers = [open_ledger() for _ in range(3)]
    keys = [LearnerKey(tenant, f"s{number}") for number in range(4)]
    logs = {key: learner_log(24, seed=number) for number, key in enumerate(keys)}

    async def write(number: int) -> int:
        draw = random.Random(number)
        conflicts = 0
        for _ in range(12):
            for key in draw.sample(keys, 4):
                conflicts += await persist(
                    writers[number], key, draw.sample(logs[key], draw.randint(1, 4))
                )
        for key in draw.sample(keys, 4):
            conflicts += await persist(writers[number], key, logs[key])
        return conflicts

    conflicts = sum(await asyncio.gather(*(write(number) for number in range(3))))

    known = [(await load(writers[0], key, logs[key])).recorded for key in keys]
    versions = [committed.version for learner in known for committed in learner.values()]
    assert len(versions) == len(set(versions)) == 4 * 24
    for key in keys:
        await assert_stored(writers[0], key, logs[key])
    # In memory nothing runs at once; where there is a server, there must have been conflicts.
    assert conflicts > 0 or type(writers[0]).__name__ == "MemoryLedger"


async def test_given_overlapping_batches_in_other_orders_then_none_deadlocks(
    open_ledger: OpenLedger, tenant: str
) -> None:
    writers = [open_ledger() for _ in range(3)]
    keys = [LearnerKey(tenant, f"s{number:02}") for number in range(20)]

    async def write(number: int) -> list[str]:
        draw = random.Random(number)
        written = []
        for round_ in range(15):
            chosen = draw.sample(keys, 12)
            responses = {
                key: answer(round_, concepts=("a", "b"), at=round_)._replace(
                    response_id=uuid_of(number, round_, key)
                )
                for key in chosen
            }
            pending = dict(
                zip(
                    chosen,
                    await writers[number].load(
                        [
                            Touched(k, [responses[k]], arrivals=arrivals([responses[k]]))
                            for k in chosen
                        ]
                    ),
                    strict=True,
                )
            )
            while pending:
                answers = await commit(
                    writers[number],
                    *(folded(key, state, [responses[key]]) for key, state in pending.items()),
                )
                pending = {
                    key: await load(writers[number], key, [responses[key]])
                    for key, answered in zip(pending, answers, strict=True)
                    if isinstance(answered, Conflict)
                }
            written += [response.response_id for response in responses.values()]
        return written

    written = [
        response
        for many in await asyncio.gather(*(write(n) for n in range(3)))
        for response in many
    ]

    rows = await writers[0].stored(keys)
    assert sorted(response.response_id for learner in rows for response in learner.log) == sorted(
        written
    )
    for learner in rows:
        await assert_stored(writers[0], learner.key, learner.log)
        assert all(row.attempts == len(learner.log) for row in learner.concepts)
