"""Contract of every ledger: corrections, repair and the outbox."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.integration.ledger.conftest import OpenLedger
from tests.support.factories import START_US, answer, learner_log
from tests.support.ledger_steps import (
    PARAMETERS,
    assert_stored,
    by_id,
    commit,
    folded,
    load,
    record,
)
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.replay import replay_many
from workers.ledger.exchange import Committed, Conflict
from workers.ledger.outbox import PendingChange
from workers.ledger.protocol import Ledger
from workers.ledger.repair import ItemSpan
from workers.ledger.rows import Stored
from workers.operations.repair.correcting import Corrected, Corrector, Verdict
from workers.operations.repair.rebuilding import Rebuilder
from workers.operations.repair.rewriting import rewriting
from workers.operations.repair.verifying import differences, verify

pytestmark = pytest.mark.asyncio(loop_scope="module")

REASON = 'she said: "no", ümlaut \\ {,}'
VOID = Verdict("void", REASON)


def rescore(score: float) -> Verdict:
    return Verdict("rescore", REASON, score)


async def correct(
    ledger: Ledger, key: LearnerKey, verdict: Verdict, *responses: Response
) -> list[Corrected]:
    corrector = Corrector(ledger=ledger, parameters=PARAMETERS, verdict=verdict)
    return await corrector.correct((key, response.response_id) for response in responses)


async def assert_counts(
    ledger: Ledger, key: LearnerKey, published: Sequence[Response], counts: Sequence[Response]
) -> Stored:
    """All is stored as published, and the state is that of what counts; nothing is altered."""
    learner = await assert_stored(ledger, key, counts)
    assert by_id(learner.responses) == by_id(published)
    assert (learner.altered, learner.unsealed) == ([], 0)
    return learner


async def untold_of(ledger: Ledger, tenant: str) -> list[PendingChange]:
    """Return the pending changes of a tenant; forget those of other tests."""
    waiting = await ledger.pending_changes(limit=10_000, lease_s=0)
    return [pending_change for pending_change in waiting if pending_change.key.tenant_id == tenant]


async def test_given_a_void_and_a_rescore_then_the_state_is_that_of_what_counts(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(25, seed=21)
    await record(ledger, key, log)
    before = await assert_counts(ledger, key, log, log)

    await correct(ledger, key, VOID, log[3])
    await correct(ledger, key, rescore(0.1), log[9], log[24])

    counts = [*log[:3], *log[4:9], log[9]._replace(score=0.1), *log[10:24]]
    counts.append(log[24]._replace(score=0.1))
    learner = await assert_counts(ledger, key, log, counts)
    assert [
        (c.response_id, c.kind, c.score, c.reason)
        for c in sorted(learner.corrections, key=lambda c: c.version)
    ] == [
        (log[3].response_id, "void", None, REASON),
        (log[9].response_id, "rescore", 0.1, REASON),
        (log[24].response_id, "rescore", 0.1, REASON),
    ]
    assert learner.correction_count == 3
    assert learner.version == learner.newest_version > before.version


async def test_given_a_voided_newest_response_then_an_earlier_one_is_not_late(
    ledger: Ledger, key: LearnerKey
) -> None:
    first, newest, between = answer(1), answer(9), answer(5)
    await record(ledger, key, [first, newest])
    await correct(ledger, key, VOID, newest)

    loaded = await load(ledger, key, [between])

    assert loaded.log is None
    assert loaded.learner.last == first.position
    await record(ledger, key, [between])
    await assert_counts(ledger, key, [first, newest, between], [first, between])
    await correct(ledger, key, rescore(0.0), newest)
    await assert_counts(
        ledger, key, [first, newest, between], [first, between, newest._replace(score=0.0)]
    )


async def test_given_corrections_then_a_late_response_gets_the_corrected_log(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(12, seed=22)
    await record(ledger, key, log)
    await correct(ledger, key, VOID, log[2])
    await correct(ledger, key, rescore(0.9), log[5])
    await correct(ledger, key, rescore(0.4), log[5])
    counts = [*log[:2], *log[3:5], log[5]._replace(score=0.4), *log[6:]]
    late = answer(80, concepts=("c0", "c1"), at=4)

    loaded = await load(ledger, key, [late])

    assert loaded.log is not None
    assert by_id(loaded.log) == by_id(counts)
    await record(ledger, key, [late])
    await assert_counts(ledger, key, [*log, late], [*counts, late])


async def test_given_a_repeat_of_a_corrected_response_then_it_is_as_published(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = [answer(1), answer(2), answer(3)]
    made = folded(key, await load(ledger, key, log), log)
    await commit(ledger, made)
    before = (await load(ledger, key, log)).recorded
    await correct(ledger, key, VOID, log[1], log[2])
    await correct(ledger, key, rescore(0.2), log[0])

    loaded = await load(ledger, key, log)

    # The outcomes, too: they are never rewritten.
    assert loaded.recorded == before
    assert loaded.log is None
    (again,) = await commit(ledger, made)
    assert isinstance(again, Conflict)
    await assert_counts(ledger, key, log, [log[0]._replace(score=0.2)])


async def test_given_all_voided_then_no_row_is_left_and_the_learner_goes_on(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(4, seed=23)
    await record(ledger, key, log)

    await correct(ledger, key, VOID, *log)

    learner = await assert_counts(ledger, key, log, [])
    assert (learner.last, learner.concepts, learner.abilities, learner.sessions) == (
        None,
        [],
        [],
        [],
    )
    early = answer(70, at=-100)
    await record(ledger, key, [early])
    await assert_counts(ledger, key, [*log, early], [early])


async def test_given_a_commit_folded_before_a_correction_then_it_is_a_conflict(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = [answer(1), answer(2)]
    await record(ledger, key, log)
    ahead = folded(key, await load(ledger, key, [answer(3)]), [answer(3)])

    await correct(ledger, key, VOID, log[1])

    (conflict,) = await commit(ledger, ahead)
    assert isinstance(conflict, Conflict)
    loaded = await load(ledger, key, [answer(3)])
    (applied,) = await commit(ledger, folded(key, loaded, [answer(3)]))
    assert isinstance(applied, Committed)
    await assert_counts(ledger, key, [*log, answer(3)], [log[0], answer(3)])


async def test_given_a_rewrite_of_an_older_version_then_nothing_of_it_is_stored(
    ledger: Ledger, key: LearnerKey, tenant: str
) -> None:
    other = LearnerKey(tenant, "other")
    for learner_key in (key, other):
        await record(ledger, learner_key, [answer(1), answer(2)])
    old, current = await ledger.stored([key, other])
    await record(ledger, key, [answer(3)])
    correction = VOID.on(answer(1))
    rewrites = [rewriting(learner, PARAMETERS, correction) for learner in (old, current)]

    versions = await ledger.rewrite([rewrite for rewrite in rewrites if rewrite is not None])

    assert versions[0] is None
    assert versions[1] is not None
    await assert_counts(
        ledger, key, [answer(1), answer(2), answer(3)], [answer(1), answer(2), answer(3)]
    )
    await assert_counts(ledger, other, [answer(1), answer(2)], [answer(2)])
    assert {pending_change.key for pending_change in await untold_of(ledger, tenant)} == {other}
    # As after a lost answer: the same again is a conflict.
    assert await ledger.rewrite([rewrite for rewrite in rewrites if rewrite is not None]) == [
        None,
        None,
    ]


async def test_given_workers_and_correctors_at_once_then_everything_counts_once(
    open_ledger: OpenLedger, key: LearnerKey
) -> None:
    log = learner_log(40, seed=24)
    ledgers = [open_ledger() for _ in range(3)]
    await record(ledgers[0], key, log[:10])

    async def work(ledger: Ledger) -> None:
        for late_first in (*log[10::2], *log[11::2]):  # every second one is late
            state = await load(ledger, key, [late_first])
            while not state.recorded:
                (answered,) = await commit(ledger, folded(key, state, [late_first]))
                if isinstance(answered, Committed):
                    break
                state = await load(ledger, key, [late_first])

    await asyncio.gather(
        work(ledgers[0]),
        correct(ledgers[1], key, VOID, *log[:4]),
        correct(ledgers[2], key, rescore(0.5), *log[4:8]),
    )

    counts = [*(response._replace(score=0.5) for response in log[4:8]), *log[8:]]
    learner = await assert_counts(ledgers[0], key, log, counts)
    corrected = {r.response_id for r in log[:8] if r.score != 0.5}
    assert {c.response_id for c in learner.corrections} == corrected


async def test_given_changes_to_tell_then_they_are_lent_and_gone_once_told(
    ledger: Ledger, key: LearnerKey, tenant: str
) -> None:
    log = [answer(1, concepts=("a", "b"), session="s"), answer(2, concepts=("b",))]
    await record(ledger, key, log)
    assert await untold_of(ledger, tenant) == []
    await correct(ledger, key, VOID, log[0])
    (stored,) = await ledger.stored([key])

    waiting = await untold_of(ledger, tenant)

    assert [pending_change.change.concept_id for pending_change in waiting] == ["a", "b"]
    assert {pending_change.version for pending_change in waiting} == {stored.version}
    assert {pending_change.key for pending_change in waiting} == {key}
    assert waiting[0].change.data["attempts"] == 0
    assert all(pending_change.written_at_us > START_US - 10**16 for pending_change in waiting)
    # They are taken now: nobody else gets them before the lease is over.
    assert [o for o in await ledger.pending_changes(10_000, 60.0) if o.key == key] == []
    again = await untold_of(ledger, tenant)
    assert again == waiting
    await ledger.forget_changes([waiting[0].number])
    assert await untold_of(ledger, tenant) == waiting[1:]
    await ledger.forget_changes([pending_change.number for pending_change in waiting])
    assert await untold_of(ledger, tenant) == []
    assert await ledger.pending_changes(limit=0) == []


async def test_given_an_item_then_the_answers_to_it_come_by_pages_of_learners(
    ledger: Ledger, tenant: str
) -> None:
    log = learner_log(30, seed=25)
    keys = [LearnerKey(tenant, f"s{n}") for n in range(5)]
    for number, key in enumerate(keys):
        await record(ledger, key, log[number : number + 20])
    await record(ledger, LearnerKey(f"{tenant}-2", "s0"), log)
    item = log[10].item_id
    since, until = log[3].answered_at_us, log[17].answered_at_us
    span = ItemSpan(tenant, item, since, until)

    pages = []
    after: LearnerKey | None = None
    while (page := await ledger.answers(span, after, 2)).last is not None:
        pages.append(page)
        after = page.last

    assert [page.last for page in pages] == [keys[1], keys[3], keys[4]]
    assert {pair for page in pages for pair in page.responses} == {
        (key, response.response_id)
        for number, key in enumerate(keys)
        for response in log[number : number + 20]
        if response.item_id == item and since <= response.answered_at_us < until
    }
    everything = await ledger.answers(ItemSpan(tenant, item), None, 10)
    assert len(everything.responses) == sum(
        response.item_id == item for number in range(5) for response in log[number : number + 20]
    )


async def test_given_learners_then_all_holders_a_sample_and_a_count_are_known(
    ledger: Ledger, tenant: str
) -> None:
    keys = [LearnerKey(tenant, student) for student in ("a", "B", "ä", "z", "Z")]
    before = await ledger.count()
    for key in keys:
        await record(ledger, key, [answer(1)])
    corrected: list[LearnerKey] = []
    after: LearnerKey | None = LearnerKey(tenant, "")
    while page := await ledger.holders(after, 2):
        assert len(page) <= 2
        corrected += page
        after = page[-1]
    assert [key for key in corrected if key.tenant_id == tenant] == sorted(keys)
    assert (await ledger.holders(None, 1)) == (await ledger.learners(None, 1))
    assert await ledger.count() == before + 5
    assert len(set(await ledger.sample(3))) == 3
    assert set(await ledger.sample(100_000)) >= set(keys)


async def test_given_a_correct_learner_then_nothing_needs_rebuilding_or_sealing(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(10, seed=26)
    await record(ledger, key, log)
    await correct(ledger, key, VOID, log[4])
    before = await ledger.stored([key])

    (page,) = [page async for page in Rebuilder(ledger=ledger, parameters=PARAMETERS).rebuild(key)]

    assert (page.learners, page.repaired, page.damaged, page.sealed) == (1, [], [], 0)
    assert await ledger.stored([key]) == before
    assert await ledger.seal(before) == [0]
    before[0].version += 1
    assert await ledger.seal(before) == [None]


async def test_given_corrections_when_verified_then_there_is_no_difference(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(15, seed=27)
    await record(ledger, key, log)
    await correct(ledger, key, VOID, log[0], log[14])
    (page,) = [page async for page in verify(ledger, PARAMETERS, only=key)]
    assert (page.learners, page.responses, page.differences, page.unsealed) == (1, 15, [], 0)
    (stored,) = await ledger.stored([key])
    (replayed,) = replay_many([log], PARAMETERS)
    assert any(differences(stored, replayed, PARAMETERS))
