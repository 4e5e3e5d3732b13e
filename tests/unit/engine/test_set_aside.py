"""Learners set aside: long logs, and loads that take too long, keep nobody waiting."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.support.doubles import (
    ROUTE,
    STREAM,
    FakePublisher,
    HookedLedger,
    batch,
    engine,
    entry_id,
    key_of,
    raw,
)
from tests.support.factories import event_json
from tests.support.ledger_steps import assert_stored, stored
from tests.support.submissions import until
from workers.common.errors import LedgerTooSlow
from workers.engine.engine import Engine
from workers.ledger.exchange import Erasure, Touched
from workers.streams.batch import RawEntry


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engine.set_aside._FIRST_PAUSE_S", 0.02)


def entry(student: str, number: int, entered: int) -> RawEntry:
    """Make answer `number` of a student, in entry `entered`."""
    return raw(event_json(student, number), entered)


@asynccontextmanager
async def resumed(work: Engine) -> AsyncIterator[None]:
    task = asyncio.create_task(work.resume())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def submit(work: Engine, *entries: RawEntry) -> None:
    await work.submit(ROUTE, batch(*entries))
    await work.drain()


async def prepared(most_answers: int = 5) -> tuple[Engine, HookedLedger, FakePublisher]:
    """Record 20 answers of a student, the second one left out; loads hold few answers."""
    publisher = FakePublisher(*map(entry_id, range(100)))
    ledger = HookedLedger()
    work = engine(ledger, publisher)
    await submit(work, *(entry("long", number, number) for number in range(20) if number != 1))
    ledger.most_answers = most_answers
    return work, ledger, publisher


async def log_of(ledger: HookedLedger, student: str) -> list[int]:
    learner = await stored(ledger.inner, key_of(student))
    await assert_stored(ledger.inner, key_of(student), learner.log)
    return sorted(response.answered_at_us for response in learner.log)


def students(publisher: FakePublisher) -> list[str]:
    return [event["data"]["student_id"] for event in publisher.published]


async def test_given_a_long_log_when_late_then_others_go_on_and_it_is_replayed() -> None:
    work, ledger, publisher = await prepared()
    publisher.published.clear()

    await submit(work, entry("long", 1, 30), entry("short", 1, 31))

    assert students(publisher) == ["short"]
    assert work.in_flight(STREAM) == {entry_id(30)}
    async with resumed(work):
        await until(lambda: not work.in_flight(STREAM))
    assert set(students(publisher)) == {"short", "long"}
    assert publisher.acknowledged[-1] == entry_id(30)
    assert len(await log_of(ledger, "long")) == 20


async def test_given_later_entries_of_a_learner_set_aside_then_they_join() -> None:
    work, ledger, publisher = await prepared()
    await submit(work, entry("long", 1, 30))
    await submit(work, entry("long", 20, 31), entry("long", 1, 32))
    assert work.in_flight(STREAM) == {entry_id(number) for number in (30, 31, 32)}

    async with resumed(work):
        await until(lambda: not work.in_flight(STREAM))

    assert publisher.pending.isdisjoint({entry_id(number) for number in (30, 31, 32)})
    versions = [event["data"]["version"] for event in publisher.published]
    assert versions == sorted(versions)
    assert len(await log_of(ledger, "long")) == 21


async def test_given_a_learner_changed_meanwhile_then_the_replay_begins_again() -> None:
    work, ledger, publisher = await prepared()
    other = engine(HookedLedger(ledger.inner), FakePublisher(entry_id(40)))
    pages = 0

    async def change(_: object) -> None:
        nonlocal pages
        pages += 1
        if pages == 2:
            await submit(other, entry("long", 40, 40))

    ledger.before_page = change
    await submit(work, entry("long", 1, 30))
    async with resumed(work):
        await until(lambda: not work.in_flight(STREAM))

    assert pages > 5
    assert entry_id(30) not in publisher.pending
    assert len(await log_of(ledger, "long")) == 21


async def test_given_a_load_that_takes_too_long_then_it_is_halved() -> None:
    publisher, ledger = FakePublisher(*map(entry_id, range(8))), HookedLedger()
    work, sizes = engine(ledger, publisher), []

    async def slow(touched: Sequence[Touched]) -> None:
        sizes.append(len(touched))
        if len(touched) > 2:
            raise LedgerTooSlow("canceling statement due to statement timeout")

    ledger.before_load = slow
    await submit(work, *(entry(f"s{number}", 0, number) for number in range(8)))

    assert publisher.pending == set()
    assert sizes == [8, 4, 2, 2, 4, 2, 2]


async def test_given_one_learner_too_slow_then_all_others_go_on() -> None:
    publisher, ledger = FakePublisher(*map(entry_id, range(4))), HookedLedger()
    work, refused = engine(ledger, publisher), 0

    async def slow(touched: Sequence[Touched]) -> None:
        nonlocal refused
        if any(learner.key == key_of("s1") for learner in touched) and refused < 4:
            refused += 1
            raise LedgerTooSlow("canceling statement due to statement timeout")

    ledger.before_load = slow
    await submit(work, *(entry(f"s{number}", 0, number) for number in range(4)))

    assert publisher.pending == {entry_id(1)}
    assert work.in_flight(STREAM) == {entry_id(1)}
    async with resumed(work):
        await until(lambda: not work.in_flight(STREAM), 60)
    assert publisher.pending == set()


async def test_given_a_failing_entry_set_aside_then_it_alone_is_poison() -> None:
    work, ledger, publisher = await prepared()
    good, bad = entry("long", 1, 30), entry("long", 50, 31)

    async def fail(commits: object) -> None:
        if bad_in(commits):
            raise RuntimeError("a bug")

    def bad_in(commits: object) -> bool:
        assert isinstance(commits, Sequence)
        return any(name.endswith(bad.entry_id) for commit in commits for name in commit.entries)

    ledger.before_commit = fail
    await submit(work, good, bad)
    async with resumed(work):
        await until(lambda: not work.in_flight(STREAM), 60)

    assert [event["data"]["entry_id"] for event in publisher.rejected] == [bad.entry_id]
    assert good.entry_id in publisher.acknowledged
    assert len(await log_of(ledger, "long")) == 20


async def test_given_a_stream_handed_over_then_its_learners_are_forgotten() -> None:
    work, _, publisher = await prepared()
    await submit(work, entry("long", 1, 30))

    work.let_go("another stream")
    assert work.in_flight(STREAM) == {entry_id(30)}
    work.let_go(STREAM)

    assert not work.in_flight(STREAM)
    assert entry_id(30) in publisher.pending


@pytest.mark.parametrize("most_answers", [1, 3, 7])
async def test_given_any_page_then_the_state_is_the_replay(most_answers: int) -> None:
    work, ledger, _ = await prepared(most_answers)
    await submit(work, entry("long", 1, 30), entry("long", 25, 31))
    async with resumed(work):
        await until(lambda: not work.in_flight(STREAM))
    assert len(await log_of(ledger, "long")) == 21


async def test_given_an_erasure_under_way_then_only_its_learner_waits() -> None:
    work, ledger, publisher = await prepared(most_answers=100)
    publisher.published.clear()
    ledger.inner._erasures[key_of("long")] = Erasure(0, refuse=False, unfinished=True)

    await submit(work, entry("long", 30, 30), entry("short", 1, 31))
    assert students(publisher) == ["short"]
    assert work.in_flight(STREAM) == {entry_id(30)}

    ledger.inner._erasures[key_of("long")] = Erasure(0, refuse=False)
    async with resumed(work):
        await until(lambda: not work.in_flight(STREAM))
    assert set(students(publisher)) == {"short", "long"}
