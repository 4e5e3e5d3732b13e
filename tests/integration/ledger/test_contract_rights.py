"""All that is held of a learner, and its erasure: the same in every ledger."""

import asyncio
from typing import Any

import pytest

from tests.integration.ledger.conftest import OpenLedger
from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import PARAMETERS, folded, load, record, stored
from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Committed, Conflict, Erasure
from workers.ledger.privacy import TABLES
from workers.ledger.protocol import Ledger
from workers.operations.repair.correcting import Corrector, Verdict

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOG = learner_log(12, seed=3)
NOW_MS = LOG[-1].answered_at_us // 1000
"""Time at which the last of them entered its stream."""


async def held(ledger: Ledger, key: LearnerKey, page: int = 500) -> dict[str, list[Any]]:
    by_table: dict[str, list[Any]] = {}
    for table in TABLES:
        by_table[table] = []
        after = None
        while rows := await ledger.rows_of(key, table, after, page):
            assert len(rows) <= page
            by_table[table] += rows
            after = rows[-1]
            if table == "learners":
                assert not await ledger.rows_of(key, table, after, page)
    return by_table


async def with_history(ledger: Ledger, key: LearnerKey) -> None:
    await record(ledger, key, LOG)
    for number in (2, 5):
        verdict = Verdict("rescore", "miskeyed", 0.25)
        corrector = Corrector(ledger=ledger, parameters=PARAMETERS, verdict=verdict)
        await corrector.correct([(key, LOG[number].response_id)])


@pytest.fixture(params=["s", "a \"quoted' \\ {,}; drop table mastery.learners --", "ünï/\u2028 %"])
def odd(request: pytest.FixtureRequest, tenant: str) -> LearnerKey:
    return LearnerKey(tenant + request.param, request.param)


async def test_given_a_learner_exported_in_pages_then_every_row_is_there_once(
    open_ledger: OpenLedger, odd: LearnerKey
) -> None:
    ledger: Any = open_ledger()
    await with_history(ledger, odd)
    neighbour = LearnerKey(odd.tenant_id, odd.student_id + "x")
    await with_history(ledger, neighbour)

    counts = await held(ledger, odd)
    paged = await held(ledger, odd, page=2)

    assert paged == counts
    learner = await stored(ledger, odd)
    assert [row["response_id"] for row in counts["student_responses"]] == [
        response.response_id for response in LOG
    ]
    assert {row["kind"] for row in counts["response_corrections"]} == {"rescore"}
    assert [len(counts[table]) for table in TABLES] == [
        1,
        12,
        2,
        len(learner.concepts),
        len(learner.abilities),
        len(learner.sessions),
        0,
        len(counts["untold"]),
    ]
    assert counts["untold"]
    rows = [row for table in TABLES for row in counts[table]]
    assert {(row["tenant_id"], row["student_id"]) for row in rows} == {tuple(odd)}
    assert all("outcome" in row for row in counts["student_responses"])


async def test_given_a_learner_when_erased_then_nothing_is_left_and_others_stay(
    open_ledger: OpenLedger, odd: LearnerKey
) -> None:
    ledger: Any = open_ledger()
    neighbour = LearnerKey(odd.tenant_id, odd.student_id + "x")
    await with_history(ledger, odd)
    await with_history(ledger, neighbour)
    before = await held(ledger, neighbour)
    expected = {table: len(rows) for table, rows in (await held(ledger, odd)).items()}

    counted = await ledger.erase(odd, NOW_MS, refuse=False, dry_run=True)
    assert (counted.version, counted.rows) == (None, expected)
    assert (await stored(ledger, odd)).version > 0
    erased = await ledger.erase(odd, NOW_MS, refuse=False)

    assert erased.rows == expected
    assert erased.version > max(row["version"] for row in before["response_corrections"]), (
        "newer than all that was"
    )
    assert not any((await held(ledger, odd)).values())
    assert await held(ledger, neighbour) == before
    again = await ledger.erase(odd, NOW_MS, refuse=False)
    assert not any(again.rows.values())


async def test_given_an_erasure_before_the_commit_then_a_conflict_says_so(
    open_ledger: OpenLedger, key: LearnerKey
) -> None:
    ledger: Any = open_ledger()
    await record(ledger, key, LOG[:6])
    stranger = LearnerKey(key.tenant_id, "no row yet")
    late = [
        folded(holder, await load(ledger, holder, LOG[6:8]), LOG[6:8]) for holder in (key, stranger)
    ]
    for holder in (key, stranger):
        await ledger.erase(holder, NOW_MS, refuse=False)

    answers = await ledger.commit(late)

    assert [type(answered) for answered in answers] == [Conflict, Conflict]
    for holder in (key, stranger):
        loaded = await load(ledger, holder, LOG[6:8])
        assert loaded.erasure == Erasure(NOW_MS, refuse=False)
        assert loaded.learner.version == 0
    for holder in (key, stranger):
        assert not any((await held(ledger, holder)).values())


@pytest.mark.parametrize("refuse", [False, True])
async def test_given_an_erased_learner_then_a_later_entry_is_new_or_refused(
    open_ledger: OpenLedger, key: LearnerKey, *, refuse: bool
) -> None:
    ledger: Any = open_ledger()
    await record(ledger, key, LOG[:6])
    erased = await ledger.erase(key, NOW_MS, refuse=refuse)
    new = answer(1000)
    state = await load(ledger, key, [new])
    assert state.erasure == Erasure(NOW_MS, refuse=refuse)

    (answered,) = await ledger.commit([folded(key, state, [new])])

    if refuse:
        assert isinstance(answered, Conflict)
        assert not any((await held(ledger, key)).values())
        await ledger.erase(key, NOW_MS, refuse=False)
        return
    assert isinstance(answered, Committed)
    assert answered.versions[0] > erased.version
    assert len((await held(ledger, key))["student_responses"]) == 1


async def test_given_old_erasures_then_they_are_forgotten_unless_they_refuse(
    open_ledger: OpenLedger, tenant: str
) -> None:
    ledger: Any = open_ledger()
    old, refusing, recent = (LearnerKey(tenant, name) for name in ("old", "refusing", "recent"))
    await ledger.erase(old, 1000, refuse=False)
    await ledger.erase(refusing, 1000, refuse=True)
    await ledger.erase(recent, 2000, refuse=False)

    assert await ledger.forget_erasures(2000) == 1

    told = [(await load(ledger, erased, [answer(0)])).erasure for erased in (old, refusing, recent)]
    assert told == [None, Erasure(1000, refuse=True), Erasure(2000, refuse=False)]
    await ledger.erase(refusing, 1000, refuse=False)
    assert await ledger.forget_erasures(2**60) >= 2


async def test_given_commits_and_an_erasure_at_once_then_nothing_earlier_is_left(
    open_ledger: OpenLedger, tenant: str
) -> None:
    keys = [LearnerKey(tenant, f"s{n}") for n in range(4)]

    async def write(key: LearnerKey) -> None:
        ledger: Any = open_ledger()
        for number in range(30):
            new = [answer(number)]
            state = await load(ledger, key, new)
            while state.erasure is None and not state.recorded:
                (answered,) = await ledger.commit([folded(key, state, new)])
                if isinstance(answered, Committed):
                    break
                state = await load(ledger, key, new)

    async def erase(key: LearnerKey) -> None:
        ledger: Any = open_ledger()
        await asyncio.sleep(0.01)
        await asyncio.gather(*(ledger.erase(key, 2**50, refuse=False) for _ in range(3)))

    await asyncio.gather(*map(write, keys), *map(write, keys), *map(erase, keys))

    ledger: Any = open_ledger()
    for key in keys:
        assert not any((await held(ledger, key)).values())
        assert (await stored(ledger, key)).version == 0
    holders = await ledger.holders(LearnerKey(tenant, ""))
    assert [holder for holder in holders if holder.tenant_id == tenant] == []
