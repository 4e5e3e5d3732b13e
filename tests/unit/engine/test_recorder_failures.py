"""The recorder when something fails: a server is waited for, the rest is told."""

import asyncio

import pytest

from tests.support.doubles import (
    HookedLedger,
    admitted,
    by_entry,
    entry_id,
    key_of,
    record,
    recorder,
)
from workers.common.errors import LedgerRefused, LedgerUnavailable
from workers.metrics.engine_metrics import EngineMetrics


@pytest.mark.parametrize("when", ["before_load", "before_commit", "after_commit"])
async def test_given_a_ledger_that_is_away_then_it_is_waited_for(when: str) -> None:
    ledger, meter = HookedLedger(), EngineMetrics("0")
    failures = iter([LedgerUnavailable("shutting down")] * 4)

    async def fail(_: object) -> None:
        for error in failures:
            raise error

    setattr(ledger, when, fail)
    entries = [admitted("s1", 1), admitted("s2", 2), admitted("s1", 2, entry=3)]

    results = by_entry(await record(recorder(ledger, meter), entries))

    assert [len(results[entry_id(n)].events) for n in (1, 2, 3)] == [1, 1, 1]
    assert [
        len(learner.log) for learner in await ledger.inner.stored([key_of("s1"), key_of("s2")])
    ] == [
        2,
        1,
    ]


@pytest.mark.parametrize("when", ["before_load", "before_commit"])
async def test_given_a_ledger_that_refuses_then_it_is_reported_and_not_retried(
    when: str,
) -> None:
    ledger = HookedLedger()

    async def fail(_: object) -> None:
        raise LedgerRefused("no such function")

    setattr(ledger, when, fail)

    with pytest.raises(LedgerRefused, match="no such function"):
        await record(recorder(ledger), [admitted("s1", 1), admitted("s2", 2)])

    assert ledger.loads == 1


async def test_given_a_recording_when_cancelled_then_nothing_is_swallowed() -> None:
    ledger, reached = HookedLedger(), asyncio.Event()

    async def hang(_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    ledger.before_commit = hang
    task = asyncio.create_task(record(recorder(ledger), [admitted()]))
    await reached.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await ledger.inner.stored([key_of()]))[0].version == 0
