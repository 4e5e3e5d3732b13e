"""A long log is read by pages, and gives what the same log read at once gives."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from tests.support.background_replay import DOCUMENT, Meter
from tests.support.calibrated import LAST_STEP
from tests.support.doubles import fast_retrying
from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import PARAMETERS, record
from tests.support.repair_steps import KEY, VOID, assert_counts, correct, stored, told
from workers.common.errors import LedgerTooSlow
from workers.estimation.learner import LearnerKey, Position, Response
from workers.estimation.parameters import Parameters
from workers.ledger.corrections import Altered
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameter_versions import ParametersSource
from workers.ledger.rows import AuditPage, Stored
from workers.operations.repair.background_replay import Replayer
from workers.operations.repair.correcting import Verdict
from workers.operations.repair.long_corrections import base_before, draft_correction
from workers.operations.repair.long_logs import in_parts
from workers.operations.repair.rebuilding import Rebuilder
from workers.operations.repair.rewriting import rewriting
from workers.operations.repair.verifying import verify

LOG = learner_log(330, seed=4)
OTHER = LearnerKey("school-7", "student-43")


class SlowLedger(MemoryLedger):
    """A ledger whose statements take too long for more than a few responses."""

    most = 50
    page = 40

    def __init__(self) -> None:
        super().__init__()
        self.pages = 0
        self.altered: list[Altered] = []
        self.meanwhile: list[Callable[[], Awaitable[object]]] = []

    async def stored(
        self, keys: Sequence[LearnerKey], most_answers: int | None = None
    ) -> list[Stored]:
        if most_answers is None:
            return await super().stored(keys)
        rows = await super().stored(keys, most_answers)
        if sum(len(row.responses) for row in rows) > self.most:
            raise LedgerTooSlow("canceling statement due to statement timeout")
        for row in rows:
            row.response_count = len(self._accounts[row.key].log)
        return rows

    async def audit_page(self, key: LearnerKey, after: Position | None, limit: int) -> AuditPage:
        if limit > self.page:
            raise LedgerTooSlow("canceling statement due to statement timeout")
        self.pages += 1
        page = await super().audit_page(key, after, limit)
        page.altered, self.altered = self.altered, []
        if self.meanwhile:
            await self.meanwhile.pop()()
        return page


async def slow_ledger(
    log: Sequence[Response] = LOG, parameters: Parameters = PARAMETERS
) -> SlowLedger:
    ledger = SlowLedger()
    for some in parts(log):
        await record(ledger, KEY, list(some), parameters)
    return ledger


def parts(log: Sequence[Response]) -> list[Sequence[Response]]:
    return [log[at : at + 60] for at in range(0, len(log), 60)]


async def test_given_learners_when_read_in_parts_then_each_comes_once() -> None:
    ledger = await slow_ledger()
    keys = [KEY, *(LearnerKey("school-7", f"s{n}") for n in range(9))]
    for key in keys[1:]:
        await record(ledger, key, LOG[:20])

    read = [part async for part in in_parts(ledger, keys, 50)]

    assert [row.key for part in read for row in part] == keys
    assert [row.left_out for part in read for row in part] == [True] + [False] * 9
    assert all(sum(len(row.responses) for row in part) <= 50 for part in read)


async def test_given_a_long_log_when_verified_then_wrong_rows_are_named() -> None:
    ledger = await slow_ledger()
    (right,) = [page async for page in verify(ledger, PARAMETERS, only=KEY)]
    assert (right.learners, right.responses, right.differences) == (1, len(LOG), [])
    assert ledger.pages > len(LOG) / ledger.page

    account = ledger._accounts[KEY]
    account.concepts["c1"] = account.concepts["c1"]._replace(attempts=1)
    snapshot_at = min(account.snapshots)
    account.snapshots[snapshot_at] = account.snapshots[snapshot_at]._replace(abilities={})
    del account.log[LOG[100].response_id]

    (paged,) = [page async for page in verify(ledger, PARAMETERS, only=KEY)]
    (whole,) = [page async for page in verify(_with_counts(ledger), PARAMETERS, only=KEY)]
    assert {str(d) for d in paged.differences} == {str(d) for d in whole.differences}
    assert len(paged.differences) > 3


def _with_counts(ledger: MemoryLedger) -> MemoryLedger:
    copied = MemoryLedger()
    copied._accounts = ledger._accounts
    return copied


async def test_given_an_altered_page_when_verified_then_the_alteration_is_named() -> None:
    ledger = await slow_ledger()
    ledger.altered = [Altered("student_responses", LOG[3].response_id, 1, 2)]

    (page,) = [page async for page in verify(ledger, PARAMETERS, only=KEY)]

    assert [d.what for d in page.differences] == [
        f"the checksum of student_responses {LOG[3].response_id!r}"
    ]


@pytest.mark.parametrize("meanwhile", [[answer(9_000)], [answer(9_001, at=5)]])
async def test_given_answers_meanwhile_when_verified_then_they_are_compared_too(
    meanwhile: list[Response],
) -> None:
    ledger = await slow_ledger()
    ledger.meanwhile = [lambda: record(ledger, KEY, meanwhile)]

    (page,) = [page async for page in verify(ledger, PARAMETERS, only=KEY)]

    assert page.differences == []
    assert page.responses == len(LOG) + 1


@pytest.mark.parametrize("at", [3, 101, 205, 329])
@pytest.mark.parametrize("verdict", [VOID, Verdict("flip", "wrong key")])
@pytest.mark.parametrize("parameters", [PARAMETERS, replace(LAST_STEP, version=1)])
async def test_given_a_correction_then_the_end_of_the_log_gives_the_same_rewrite(
    at: int, verdict: Verdict, parameters: Parameters
) -> None:
    ledger = await slow_ledger(parameters=parameters)
    correction = verdict.on(LOG[at])
    (head,) = await ledger.stored([KEY], 0)

    drafted = await draft_correction(ledger, head, LOG[at], correction, parameters)

    whole = rewriting(await stored(ledger), parameters, correction)
    assert drafted is not None
    assert whole is not None
    assert drafted.rewrite is not None
    taken = {snapshot.position: snapshot for snapshot in whole.snapshots}
    for snapshot in drafted.rewrite.snapshots:
        assert taken[snapshot.position][2:] == snapshot[2:]
    drafted.rewrite.snapshots, drafted.rewrite.changed_from = whole.snapshots, None
    assert drafted.rewrite == whole
    base = base_before(head, LOG[at], parameters.version)
    assert (base is not None) == (at > 110)
    assert ledger.pages <= (len(LOG) - (base.responses if base else 0)) / 31 + 1


@pytest.mark.parametrize("at", [3, 250])
async def test_given_a_long_log_when_corrected_then_state_and_snapshots_follow(at: int) -> None:
    ledger = await slow_ledger()
    unknown, altered = answer(9_000), LOG[at]

    done = await correct(ledger, VOID, altered, unknown, altered)

    assert sorted(corrected.ending for corrected in done) == ["corrected", "unchanged", "unknown"]
    await assert_counts(ledger, [response for response in LOG if response != altered])
    assert {event["cause"] for event in await told(ledger)} == {"correction"}
    (page,) = [page async for page in verify(ledger, PARAMETERS, only=KEY)]
    assert page.differences == []


async def test_given_an_altered_row_behind_the_base_then_a_correction_repairs_it() -> None:
    log = [answer(0, concepts=("old",)), *LOG[1:]]
    ledger = await slow_ledger(log)
    account = ledger._accounts[KEY]
    account.concepts["old"] = account.concepts["old"]._replace(attempts=7)

    await correct(ledger, VOID, log[300])

    await assert_counts(ledger, [response for response in log if response != log[300]])
    assert "old" in {event["concept_id"] for event in await told(ledger)}


async def test_given_a_wrong_row_of_a_long_log_when_rebuilt_then_it_is_repaired() -> None:
    ledger = await slow_ledger()
    account = ledger._accounts[KEY]
    account.concepts["c1"] = account.concepts["c1"]._replace(attempts=1)

    (done,) = [page async for page in Rebuilder(ledger=ledger, parameters=PARAMETERS).rebuild(KEY)]

    assert done.repaired == [KEY]
    await assert_counts(ledger, LOG)


async def test_given_another_version_then_long_logs_are_replayed_last() -> None:
    ledger = await slow_ledger()
    await record(ledger, OTHER, LOG[:20])
    version = await ledger.store("bkt", DOCUMENT, {}, "")
    await ledger.activate(version, "better")
    source = ParametersSource(ledger, 0.95)
    replayer = Replayer(ledger=ledger, versions=source, meter=Meter(), retrying=fast_retrying())

    assert await replayer.replay() == 2

    pages = [page async for page in verify(ledger, source)]
    assert [page.differences for page in pages if page.differences] == []
    assert sum(page.outdated for page in pages) == 0
    assert {change.key for change in await ledger.pending_changes()} == {KEY, OTHER}
