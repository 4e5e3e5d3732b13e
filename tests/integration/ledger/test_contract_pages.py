"""Contract of every ledger: audit and correction of a long log, page by page."""

import pytest

from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import PARAMETERS, assert_stored, record, stored
from tests.support.repair_steps import VOID
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.snapshots import EVERY
from workers.ledger.protocol import Ledger
from workers.operations.repair.long_corrections import draft_correction
from workers.operations.repair.long_logs import in_parts

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_given_logs_that_do_not_fit_when_audited_then_they_are_left_out(
    ledger: Ledger, key: LearnerKey
) -> None:
    others = [LearnerKey(key.tenant_id, f"other-{n}") for n in range(3)]
    log = learner_log(40, seed=1)
    for other in others:
        await record(ledger, other, log)
    whole = await ledger.stored(others)

    first, second, third = await ledger.stored(others, 80)

    assert [first.left_out, second.left_out, third.left_out] == [False, False, True]
    assert (third.log, third.responses, third.windows) == ([], [], {})
    assert third.concepts == whole[2].concepts
    assert third.snapshots == whole[2].snapshots
    assert third.version == whole[2].version
    assert first.responses
    parts = [part async for part in in_parts(ledger, others, 80)]
    assert [row.key for part in parts for row in part] == others
    assert not any(row.left_out for part in parts for row in part)
    (nobody,) = await ledger.stored([key], 0)
    assert not nobody.left_out


async def test_given_a_log_when_audited_in_pages_then_each_response_comes_once(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(50, seed=2)
    await record(ledger, key, log)
    learner = await stored(ledger, key)

    read: list[Response] = []
    windows, newest, after = 0, 0, None
    while True:
        page = await ledger.audit_page(key, after, 20)
        read += page.responses
        windows += sum(page.windows.values())
        newest = max(newest, page.newest_version)
        assert (page.altered, page.unsealed) == ([], 0)
        if page.last is None:
            break
        after = page.last

    assert read == log
    assert windows == sum(learner.windows.values()) == len(log)
    assert newest == learner.newest_version
    unknown = answer(9_000).response_id
    named = await ledger.published(key, [log[7].response_id, unknown, log[3].response_id])
    assert {response.response_id for response in named.responses} == {
        log[7].response_id,
        log[3].response_id,
    }
    assert named.last is None
    assert (await ledger.audit_page(LearnerKey(key.tenant_id, "nobody"), None, 20)).responses == []


async def test_given_a_correction_from_a_snapshot_then_earlier_snapshots_stay(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(3 * EVERY, seed=3)
    for at in range(0, len(log), EVERY):
        await record(ledger, key, log[at : at + EVERY])
    before = (await stored(ledger, key)).snapshots
    (head,) = await ledger.stored([key], 0)
    corrected = log[EVERY + 50]

    drafted = await draft_correction(ledger, head, corrected, VOID.on(corrected), PARAMETERS)

    assert drafted is not None
    assert drafted.rewrite is not None
    (version,) = await ledger.rewrite([drafted.rewrite])
    assert version is not None
    counting = [response for response in log if response != corrected]
    learner = await assert_stored(ledger, key, counting)
    assert learner.snapshots[0] == before[0]
    assert [row.snapshot.position for row in learner.snapshots[1:]] == [log[2 * EVERY].position]
