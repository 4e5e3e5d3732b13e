"""Isolation: whatever an entry does, it alone pays, and a server's absence is no try of it."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from tests.support.doubles import STREAM, FakeTries, entry_id, isolation, raw
from workers.common.errors import LedgerRefused, LedgerUnavailable, Unstorable
from workers.streams.batch import RawEntry
from workers.streams.poison import EntryActions

ENTRIES = [raw(b"x", number) for number in range(16)]
BAD = entry_id(5)


class Trial:
    """Notes what is tried with whom; `fail` says what an entry does."""

    def __init__(self, fail: Callable[[str], Exception | None] = lambda _: None) -> None:
        self.fail = fail
        self.companies: list[int] = []
        self.alone: list[str] = []
        self.through: set[str] = set()
        self.refused: dict[str, str] = {}
        self.away = iter(list[Exception]())

    @property
    def attempt(self) -> EntryActions:
        return EntryActions(self._together, self._alone, self._reach, self._refuse)

    async def _together(self, entries: Sequence[RawEntry]) -> None:
        self.companies.append(len(entries))
        self._see(entries)

    async def _alone(self, entry: RawEntry) -> None:
        self.alone.append(entry.entry_id)
        self._see([entry])

    async def _reach(self) -> None:
        for error in self.away:
            raise error

    async def _refuse(self, entry: RawEntry, reason: str) -> None:
        self.refused[entry.entry_id] = reason

    def _see(self, entries: Sequence[RawEntry]) -> None:
        for entry in entries:
            if (error := self.fail(entry.entry_id)) is not None:
                raise error
        self.through |= {entry.entry_id for entry in entries}


def bad(error: Exception) -> Callable[[str], Exception | None]:
    return lambda name: error if name == BAD else None


@pytest.mark.parametrize(
    "error", [Unstorable("value out of range"), KeyError("x"), RuntimeError("boom")]
)
async def test_given_an_entry_that_always_fails_then_it_alone_is_refused(
    error: Exception,
) -> None:
    trial, tries = Trial(bad(error)), FakeTries()

    await isolation(tries).one_by_one(STREAM, ENTRIES, trial.attempt)

    assert set(trial.refused) == {BAD}
    assert "3 times" in trial.refused[BAD]
    assert type(error).__name__ in trial.refused[BAD]
    assert trial.through == {e.entry_id for e in ENTRIES} - {BAD}
    assert trial.alone.count(BAD) == 3
    assert trial.companies == [8, 4, 4, 2, 2, 8]  # then 4 and 5 alone
    assert tries.kept == {}


async def test_given_an_unexpected_error_then_its_text_stays_out_of_the_reason() -> None:
    trial = Trial(bad(ValueError("secret-token")))

    await isolation().alone(STREAM, ENTRIES[5], trial.attempt)

    assert "secret-token" not in trial.refused[BAD]


async def test_given_an_entry_that_passes_when_retried_then_nothing_is_refused() -> None:
    failures = iter([RuntimeError(), RuntimeError()])
    trial, tries = Trial(lambda _: next(failures, None)), FakeTries()

    await isolation(tries).alone(STREAM, ENTRIES[0], trial.attempt)

    assert (trial.refused, tries.kept, tries.seen) == ({}, {}, [1, 2, 3])


async def test_given_tries_that_ended_the_process_then_they_count() -> None:
    trial, tries = Trial(), FakeTries({BAD: 3})

    await isolation(tries).alone(STREAM, ENTRIES[5], trial.attempt)

    assert trial.alone == []
    assert "the process ended each time" in trial.refused[BAD]
    assert tries.kept == {}


async def test_given_a_process_that_ends_in_a_try_then_the_try_was_noted_before() -> None:
    tries = FakeTries()
    noted: list[int] = []
    trial = Trial(lambda name: noted.append(tries.kept[name]))

    await isolation(tries).alone(STREAM, ENTRIES[0], trial.attempt)

    assert noted == [1]


async def test_given_an_absent_server_then_no_try_counts_however_long_it_takes() -> None:
    away = iter([LedgerUnavailable("gone")] * 10)
    trial, tries = Trial(lambda _: next(away, None)), FakeTries()
    trial.away = iter([LedgerUnavailable("gone")] * 10)

    await isolation(tries).alone(STREAM, ENTRIES[0], trial.attempt)

    assert trial.refused == {}
    assert trial.through == {entry_id(0)}
    assert max(tries.seen) == 1


async def test_given_what_nothing_will_cure_then_it_is_told_and_no_try_counted() -> None:
    trial, tries = Trial(bad(LedgerRefused("no such function"))), FakeTries()

    with pytest.raises(LedgerRefused):
        await isolation(tries).one_by_one(STREAM, ENTRIES, trial.attempt)
    with pytest.raises(LedgerRefused):
        await isolation(tries).alone(STREAM, ENTRIES[5], trial.attempt)

    assert tries.kept.get(BAD, 0) == 0


async def test_given_a_try_that_is_cancelled_then_it_is_taken_back() -> None:
    tries, begun = FakeTries(), asyncio.Event()

    async def hang(_: RawEntry) -> None:
        begun.set()
        await asyncio.Event().wait()

    plain = Trial().attempt
    attempt = EntryActions(plain.together, hang, plain.reach, plain.refuse)
    task = asyncio.create_task(isolation(tries).alone(STREAM, ENTRIES[0], attempt))
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert tries.kept[entry_id(0)] == 0
