"""The recorder when something fails: only the entry at fault pays, and a server is waited for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from contracts.rejections import RejectionCode
from tests.unit.doubles import (
    STREAM,
    HookedLedger,
    admitted,
    by_entry,
    counted,
    entry_id,
    events_of,
    key_of,
    recorder,
    refusal_of,
)
from workers.errors import LedgerRefused, LedgerUnavailable, Unstorable
from workers.ledger.protocol import Commit
from workers.service.metrics import EngineMetrics


def failing_for(
    student: str, error: Exception, tries: list[int]
) -> Callable[[Sequence[Commit]], Awaitable[None]]:
    """Fails each commit that has the student, and notes of how many learners each was."""

    async def fail(commits: Sequence[Commit]) -> None:
        if any(one.folded.key == key_of(student) for one in commits):
            tries.append(len(commits))
            raise error

    return fail


@pytest.mark.parametrize(
    "error", [Unstorable("value out of range"), KeyError("x"), RuntimeError("boom")]
)
async def test_given_an_entry_that_always_fails_then_it_is_poison_and_its_neighbours_applied(
    error: Exception,
) -> None:
    ledger, meter, tries = HookedLedger(), EngineMetrics("0"), list[int]()
    ledger.before_commit = failing_for("bad", error, tries)
    entries = [admitted("s1", 1), admitted("bad", 2), admitted("s2", 3)]

    results = by_entry(await recorder(ledger, meter, max_deliveries=3).record(STREAM, entries))

    assert tries == [3, 1, 1, 1]
    refusal = refusal_of(results[entry_id(2)])
    assert refusal.code is RejectionCode.POISON
    assert "3 times" in refusal.reason
    assert [len(results[entry_id(n)].events) for n in (1, 3)] == [1, 1]
    assert [len(one.log) for one in await ledger.stored([key_of("s1"), key_of("bad")])] == [1, 0]
    assert counted(meter, "responses_applied") == 2


async def test_given_an_unexpected_error_then_its_text_stays_out_of_the_reason() -> None:
    ledger, tries = HookedLedger(), list[int]()
    ledger.before_commit = failing_for("bad", ValueError("secret-token"), tries)

    (result,) = await recorder(ledger, max_deliveries=1).record(STREAM, [admitted("bad", 1)])

    assert "ValueError" in refusal_of(result).reason
    assert "secret-token" not in refusal_of(result).reason


async def test_given_an_error_that_passes_when_tried_alone_then_all_is_applied() -> None:
    ledger, failures = HookedLedger(), iter([RuntimeError(), RuntimeError()])

    async def fail(_: Sequence[Commit]) -> None:
        for error in failures:
            raise error

    ledger.before_commit = fail
    entries = [admitted("s1", n) for n in (1, 2)]

    results = by_entry(await recorder(ledger).record(STREAM, entries))

    assert [len(results[entry_id(n)].events) for n in (1, 2)] == [1, 1]
    assert len((await ledger.stored([key_of("s1")]))[0].log) == 2


async def test_given_a_failure_after_the_commit_then_retrying_alone_publishes_what_was_stored() -> (
    None
):
    ledger, failures = HookedLedger(), iter([RuntimeError("answer lost")])

    async def fail(_: Sequence[Commit]) -> None:
        for error in failures:
            raise error

    ledger.after_commit = fail
    entries = [admitted(number=1, entry=1), admitted(number=1, entry=2), admitted(number=3)]

    results = by_entry(await recorder(ledger).record(STREAM, entries))

    assert [len(results[entry_id(n)].events) for n in (1, 2, 3)] == [1, 0, 1]
    (found,) = await ledger.stored([key_of()])
    assert found.version == events_of(results[entry_id(3)])[0]["data"]["version"]


@pytest.mark.parametrize("when", ["before_load", "before_commit", "after_commit"])
async def test_given_a_ledger_that_is_away_then_it_is_waited_for(when: str) -> None:
    ledger, meter = HookedLedger(), EngineMetrics("0")
    failures = iter([LedgerUnavailable("shutting down")] * 4)

    async def fail(_: object) -> None:
        for error in failures:
            raise error

    setattr(ledger, when, fail)
    entries = [admitted("s1", 1), admitted("s2", 2), admitted("s1", 2, entry=3)]

    results = by_entry(await recorder(ledger, meter).record(STREAM, entries))

    assert [len(results[entry_id(n)].events) for n in (1, 2, 3)] == [1, 1, 1]
    assert [len(one.log) for one in await ledger.stored([key_of("s1"), key_of("s2")])] == [2, 1]


@pytest.mark.parametrize("when", ["before_load", "before_commit"])
async def test_given_a_ledger_that_refuses_then_it_is_told_and_nothing_tried_alone(
    when: str,
) -> None:
    ledger = HookedLedger()

    async def fail(_: object) -> None:
        raise LedgerRefused("no such function")

    setattr(ledger, when, fail)

    with pytest.raises(LedgerRefused, match="no such function"):
        await recorder(ledger).record(STREAM, [admitted("s1", 1), admitted("s2", 2)])

    assert ledger.loads == 1


async def test_given_a_recording_when_cancelled_then_nothing_is_swallowed() -> None:
    ledger, reached = HookedLedger(), asyncio.Event()

    async def hang(_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    ledger.before_commit = hang
    task = asyncio.create_task(recorder(ledger).record(STREAM, [admitted()]))
    await reached.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await ledger.stored([key_of()]))[0].version == 0
