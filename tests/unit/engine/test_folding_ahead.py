"""A batch is folded while the one before is committed, and nothing changes for it."""

import asyncio
import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.doubles import (
    PARAMETERS,
    ROUTE,
    FakePublisher,
    HookedLedger,
    admitted,
    batch,
    counted,
    engine,
    entry_id,
    key_of,
    raw,
    record,
    recorder,
)
from tests.support.examples import examples
from tests.support.factories import event_json
from tests.support.ledger_steps import stored
from tests.support.submissions import GOOD, until
from workers.common.errors import LedgerUnavailable
from workers.estimation.replay import replay
from workers.ledger.exchange import Commit
from workers.ledger.memory.ledger import MemoryLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.operations.repair.verifying import differences
from workers.streams.batch import RawEntry

STUDENTS = ("s1", "s2")


async def test_given_a_commit_under_way_then_the_next_batch_is_folded() -> None:
    ledger, publisher, meter = HookedLedger(), FakePublisher(*_ids(GOOD)), EngineMetrics("0")
    work, gate = engine(ledger, publisher, meter), asyncio.Event()
    ledger.before_commit = lambda _: _waited(gate)
    for at in (0, 4, 8):
        await work.submit(ROUTE, batch(*GOOD[at : at + 4]))

    await until(lambda: _folds(meter) == 2)
    assert (ledger.loads, ledger.commits) == (1, 1)
    gate.set()
    await work.drain()

    assert (ledger.loads, ledger.commits, counted(meter, "commit_conflicts")) == (1, 3, 0)
    await _assert_as_replayed(ledger.inner, "s1", 12)
    versions = [event["data"]["version"] for event in publisher.published]
    assert versions == sorted(versions)


async def test_given_a_conflict_then_the_batch_folded_ahead_is_one_too() -> None:
    ledger, publisher, meter = HookedLedger(), FakePublisher(*_ids(GOOD)), EngineMetrics("0")
    work = engine(ledger, publisher, meter)
    await work.submit(ROUTE, batch(GOOD[0]))
    await work.drain()

    async def overtake(_: object) -> None:
        ledger.before_commit = _at_once
        await until(lambda: _folds(meter) == 3)
        await record(recorder(ledger.inner), [admitted("s1", 11)])

    ledger.before_commit = overtake
    await work.submit(ROUTE, batch(*GOOD[1:4]))
    await work.submit(ROUTE, batch(*GOOD[4:8]))
    await work.drain()

    # What was never stored is not sent.
    assert counted(meter, "commit_conflicts") == 2
    await _assert_as_replayed(ledger.inner, "s1", 9)
    assert publisher.pending == set(_ids(GOOD[8:]))


async def test_given_a_commit_that_fails_then_batches_folded_ahead_count_once() -> None:
    ledger, publisher, meter = HookedLedger(), FakePublisher(*_ids(GOOD)), EngineMetrics("0")
    work = engine(ledger, publisher, meter)

    async def fail(_: object) -> None:
        ledger.before_commit = _at_once
        await until(lambda: _folds(meter) == 2)
        raise ValueError("a bug")

    ledger.before_commit = fail
    for at in (0, 4, 8):
        await work.submit(ROUTE, batch(*GOOD[at : at + 4]))
    await work.drain()

    assert publisher.pending == set()
    await _assert_as_replayed(ledger.inner, "s1", 12)


async def test_given_a_late_repeat_in_the_next_batch_then_its_load_waits() -> None:
    ledger, publisher = HookedLedger(), FakePublisher(*_ids(GOOD[:2]), entry_id(7))
    work, gate = engine(ledger, publisher), asyncio.Event()
    ledger.before_commit = lambda _: _waited(gate)
    await work.submit(ROUTE, batch(*GOOD[:2]))
    await work.submit(ROUTE, batch(raw(event_json("s1", 0), 7)))
    await asyncio.sleep(0.02)
    assert ledger.loads == 1
    gate.set()
    await work.drain()

    assert (ledger.loads, ledger.commits, publisher.pending) == (2, 1, set())
    assert len({event["data"]["response_id"] for event in publisher.published}) == 2


@settings(max_examples=examples(100))
@given(
    st.lists(st.tuples(st.sampled_from(STUDENTS), st.integers(0, 5)), min_size=4, max_size=24),
    st.integers(0, 2**32),
    st.sampled_from((0.0, 0.2)),
)
def test_given_engines_that_overlap_then_state_and_events_hold(
    answers: list[tuple[str, int]], seed: int, failing: float
) -> None:
    asyncio.run(_overlap(answers, random.Random(seed), failing))


async def _overlap(answers: list[tuple[str, int]], draw: random.Random, failing: float) -> None:
    """Process batches by two engines on one ledger, each entry by one of them or by both."""
    inner = MemoryLedger()
    entries = [raw(event_json(s, number), at) for at, (s, number) in enumerate(answers)]
    publisher = FakePublisher(*_ids(entries))

    async def moment(_: object) -> None:
        for _turn in range(draw.randint(0, 6)):
            await asyncio.sleep(0)
        if draw.random() < failing:
            raise LedgerUnavailable("gone")

    async def work() -> None:
        ledger = HookedLedger(inner)
        ledger.before_load = ledger.before_commit = ledger.after_commit = moment
        overlapping, at = engine(ledger, publisher), 0
        own = [entry for entry in entries if draw.random() < 0.8]
        while at < len(own):
            size = draw.randint(1, 5)
            await overlapping.submit(ROUTE, batch(*own[at : at + size]))
            at += size
        await overlapping.drain()

    await asyncio.gather(work(), work())
    left = engine(HookedLedger(inner), publisher)
    await left.submit(ROUTE, batch(*[e for e in entries if e.entry_id in publisher.pending]))
    await left.drain()

    assert publisher.pending == set()
    assert publisher.rejected == []
    for student in STUDENTS:
        await _assert_as_replayed(inner, student, len({n for s, n in answers if s == student}))
    names = [event["id"] for event in publisher.published]
    assert len(names) == len(set(names))
    responses = {(event["data"]["response_id"]) for event in publisher.published}
    assert len(responses) == len(set(answers))


async def _assert_as_replayed(ledger: MemoryLedger, student: str, responses: int) -> None:
    learner = await stored(ledger, key_of(student))
    assert len(learner.log) == responses
    assert not list(differences(learner, replay(learner.log, PARAMETERS), PARAMETERS))


def _ids(entries: Sequence[RawEntry]) -> list[str]:
    return [entry.entry_id for entry in entries]


def _folds(meter: EngineMetrics) -> float:
    name = "mastery_batch_stage_seconds_count"
    return meter.registry.get_sample_value(name, {"stage": "fold"}) or 0.0


async def _waited(gate: asyncio.Event) -> None:
    await gate.wait()


async def _at_once(_: Sequence[Commit]) -> None:
    """Begin the commit without a delay."""
