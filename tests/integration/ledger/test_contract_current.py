"""Contract of every ledger: current values."""

import asyncio
import time

import pytest

from tests.support.calibrated import LAST_STEP
from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import load, record, stored
from workers.estimation.learner import LearnerKey, Response
from workers.ledger.current import (
    BEGINNING,
    Current,
    CurrentAbility,
    CurrentConcept,
    CurrentSession,
    ValuesPage,
)
from workers.ledger.protocol import Ledger

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def current(ledger: Ledger, key: LearnerKey, since_us: int | None = None) -> Current:
    (learner,) = await ledger.current([key], since_us)
    return learner


async def assert_current(ledger: Ledger, key: LearnerKey, log: list[Response]) -> Current:
    """Check that current values equal the tables, with the responses whose version a row has."""
    now, tables = await current(ledger, key), await stored(ledger, key)
    assert now.key == key
    assert sorted(now.concepts) == sorted(CurrentConcept(*row[:7]) for row in tables.concepts)
    assert sorted(now.abilities) == sorted(
        CurrentAbility(*row[:3], row.version) for row in tables.abilities
    )
    assert sorted(now.sessions) == sorted(
        CurrentSession(*row[:3], row.version) for row in tables.sessions
    )
    versions = {
        row.version for rows in (tables.concepts, tables.abilities, tables.sessions) for row in rows
    }
    known = (await load(ledger, key, log)).recorded
    due = [recorded for recorded in known.values() if recorded.version in versions]
    assert sorted(now.responses) == sorted(due)
    return now


async def test_given_a_log_then_what_is_current_comes_with_what_it_is_due_to(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(40, seed=3, concepts=5)
    await record(ledger, key, log[:15])
    await record(ledger, key, log[25:])
    await record(ledger, key, log[15:25])

    current = await assert_current(ledger, key, log)

    assert 3 <= len(current.responses) < len(log)


async def test_given_extreme_texts_and_values_then_they_come_back_as_they_are(
    ledger: Ledger, tenant: str
) -> None:
    key = LearnerKey(tenant, "\"\\{},' NULL ß😀")
    log = [answer(0, concepts=("NULL", "{a,b}", '"'), scale="\\", session=" ", score=1 / 3)]
    await record(ledger, key, log)

    current = await assert_current(ledger, key, log)

    assert {row.concept_id for row in current.concepts} == {"NULL", "{a,b}", '"'}


async def test_given_learners_without_responses_then_they_are_left_out(
    ledger: Ledger, tenant: str
) -> None:
    keys = [LearnerKey(tenant, f"s{n}") for n in range(5)]
    for key in (keys[3], keys[1]):
        await record(ledger, key, [answer(1)])

    assert [learner.key for learner in await ledger.current(keys)] == [keys[1], keys[3]]
    assert [learner.key for learner in await ledger.current(keys[::-1])] == [keys[3], keys[1]]
    assert await ledger.current([]) == []
    assert await ledger.current(keys[:1]) == []


async def test_given_a_since_time_then_only_learners_with_later_records_come(
    ledger: Ledger, tenant: str
) -> None:
    old, new, both = (LearnerKey(tenant, student) for student in ("old", "new", "both"))
    before = await ledger.clock_us()
    await record(ledger, old, [answer(1)])
    await record(ledger, both, [answer(1, concepts=("untouched",))])
    await asyncio.sleep(0.002)
    between = await ledger.clock_us()
    await asyncio.sleep(0.002)
    # When it was answered says nothing of when it was recorded.
    await record(ledger, both, [answer(-10_000)])
    await record(ledger, new, [answer(-20_000)])
    keys = [old, new, both]

    assert [learner.key for learner in await ledger.current(keys, before)] == keys
    since = await ledger.current(keys, between)
    assert [learner.key for learner in since] == [new, both]
    assert {row.concept_id for row in since[1].concepts} == {"untouched", "c"}
    after = await ledger.clock_us()
    assert await ledger.current(keys, after + 1_000_000) == []


async def test_given_the_clock_then_it_is_near_ours_and_goes_on(ledger: Ledger) -> None:
    first = await ledger.clock_us()
    await asyncio.sleep(0.002)
    second = await ledger.clock_us()

    assert first < second
    assert abs(second - time.time_ns() // 1_000) < 60_000_000


async def test_given_the_same_student_in_two_tenants_then_they_stay_apart(
    ledger: Ledger, tenant: str
) -> None:
    first, other = LearnerKey(tenant, "s"), LearnerKey(f"{tenant}-2", "s")
    await record(ledger, first, [answer(1, concepts=("a",))])
    await record(ledger, other, [answer(1, concepts=("b",))])

    assert [row.concept_id for row in (await current(ledger, first)).concepts] == ["a"]
    assert [row.concept_id for row in (await current(ledger, other)).concepts] == ["b"]


async def test_given_values_then_pages_hold_each_once_in_order(
    ledger: Ledger, key: LearnerKey
) -> None:
    names = ["a", "B", "é", "z", "学", "😀", "~"]
    log = [answer(n, concepts=(name,), scale=f"s{n % 3}") for n, name in enumerate(names * 2)]
    await record(ledger, key, log)
    whole = await current(ledger, key)

    for limit in (1, 2, 3, 7, 100):
        after, concepts, abilities = BEGINNING, [], []
        for _ in range(8):
            page = await ledger.values(key, limit, after)
            assert max(len(page.concepts), len(page.abilities)) <= limit
            concepts += page.concepts
            abilities += page.abilities
            if page.last is None:
                break
            after = page.last
        assert page.last is None
        assert concepts == sorted(whole.concepts)
        assert abilities == sorted(whole.abilities)
        assert [row.concept_id for row in concepts] == sorted(names)


async def test_given_calibrated_rows_then_values_have_interval_and_fit(
    ledger: Ledger, key: LearnerKey
) -> None:
    await record(ledger, key, learner_log(30), parameters=LAST_STEP)
    page, whole = await ledger.values(key, 100), await current(ledger, key)

    assert page.concepts == sorted(whole.concepts)
    assert page.abilities == sorted(whole.abilities)
    assert any(row.interval is not None for row in page.concepts)
    assert any(row.person_fit is not None for row in page.abilities)


async def test_given_nobody_then_there_are_no_values(ledger: Ledger, tenant: str) -> None:
    await record(ledger, LearnerKey(tenant, "other"), [answer(1)])

    assert await ledger.values(LearnerKey(tenant, "s"), 5) == ValuesPage([], [], None)
