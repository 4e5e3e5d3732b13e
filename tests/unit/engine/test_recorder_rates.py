"""Rates and erasures as the recorder heeds them: exactly so many, whatever the interleaving."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from contracts.rejections import RejectionCode
from tests.support.doubles import (
    PARAMETERS,
    HookedLedger,
    admitted,
    by_entry,
    entry_id,
    fast_retrying,
    key_of,
    record,
    refusal_of,
)
from tests.support.factories import START_US
from workers.admission.verdicts import Admitted
from workers.common.rate_limit import RateLimit
from workers.engine.rate_limiting import arrival_of
from workers.engine.recorder import Recorder
from workers.ledger.exchange import Commit
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.recording import RecordingLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.publishing.settled import Settled

START_MS = START_US // 1000


def limited(ledger: RecordingLedger, most: int = 3, unit: str = "minute") -> Recorder:
    return Recorder(
        ledger=ledger,
        parameters=PARAMETERS,
        retrying=fast_retrying(),
        meter=EngineMetrics("0"),
        rate_limit=RateLimit(most, unit),
    )


def codes(results: Sequence[Settled]) -> list[RejectionCode | None]:
    """Return the ends of entries, in the order of their ids."""
    ordered = sorted(results, key=place)
    return [
        None if settled_entry.refusal is None else settled_entry.refusal.code
        for settled_entry in ordered
    ]


def place(settled_entry: Settled) -> tuple[int, ...]:
    return tuple(map(int, settled_entry.entry.entry_id.split("-")))


def delegated(entry: Admitted) -> Admitted:
    return entry._replace(delegated=True)


OVER = RejectionCode.RATE_LIMITED


async def test_given_more_than_the_limit_then_the_first_entries_count() -> None:
    ledger = MemoryLedger()
    # The later their entries, the earlier they were answered: entries decide, not answers.
    batch = [admitted(number=9 - n, entry=n) for n in range(5)]

    results = await record(limited(ledger), random.Random(1).sample(batch, 5))

    assert codes(results) == [None, None, None, OVER, OVER]
    refusal = refusal_of(by_entry(results)[entry_id(3)])
    assert refusal.field == "data.response.student_id"
    assert "RATE_LIMIT=3/minute" in refusal.reason
    assert "2026-11-21T09:30:00" in refusal.reason
    assert "mastery rejected redrive" in refusal.reason
    (stored,) = await ledger.stored([key_of()])
    assert len(stored.log) == 3
    assert stored.kept == stored.windows == {START_MS // 1000: 3}


async def test_given_the_next_window_or_a_redriven_entry_then_it_counts_there() -> None:
    work = limited(MemoryLedger(), most=1)
    await record(work, [admitted(number=0)])
    late = admitted(number=1, entry=61)
    redriven = late._replace(entry=late.entry._replace(redriven_from=entry_id(1)))

    assert codes(await record(work, [admitted(number=2, entry=2)])) == [OVER]
    assert codes(await record(work, [redriven])) == [None]
    assert codes(await record(work, [admitted(number=3, entry=62)])) == [OVER]


async def test_given_repeats_of_known_responses_then_they_count_nothing() -> None:
    work = limited(MemoryLedger(), most=2)
    await record(work, [admitted(number=0)])

    again = [admitted(number=0, entry=n) for n in range(5)]
    results = await record(work, [*again, admitted(number=1, entry=6)])

    assert codes(results) == [None] * 6


async def test_given_a_delegated_role_then_it_is_exempt_and_counts_nothing() -> None:
    ledger = MemoryLedger()
    work = limited(ledger, most=1)

    results = await record(work, [delegated(admitted(number=n)) for n in range(5)])
    own = await record(work, [admitted(number=6), admitted(number=7)])

    assert (codes(results), codes(own)) == ([None] * 5, [None, OVER])
    (stored,) = await ledger.stored([key_of()])
    assert stored.windows == {START_MS // 1000: 1}


async def test_given_a_response_twice_and_the_first_over_then_the_next_counts() -> None:
    ledger = MemoryLedger()
    work = limited(ledger, most=1)
    batch = [
        admitted(number=0, entry=0),
        admitted(number=1, entry=1),
        admitted(number=1, entry=70),
        admitted(number=1, entry=71, item_id="other"),
    ]

    results = await record(work, batch)

    assert codes(results) == [None, OVER, None, RejectionCode.CONFLICT]
    assert len(by_entry(results)[entry_id(70)].events) == 1


async def test_given_another_worker_that_takes_room_then_exactly_the_rest_counts() -> None:
    ledger = MemoryLedger()
    hooked = HookedLedger(ledger)
    others: list[Settled] = []

    async def before(_: Sequence[Commit]) -> None:
        hooked.before_commit = nothing
        # One of ours among them, delivered to both.
        batch = [admitted(number=n) for n in (2, 7, 8)]
        others.extend(await record(limited(ledger), batch))

    async def nothing(_: object) -> None:
        return

    hooked.before_commit = before
    batch = [admitted(number=n) for n in (0, 1, 2, 3)]
    results = await record(limited(hooked), batch)

    assert codes(others) == [None, None, None]
    # What the other has recorded is a repeat here and no refusal: its events are the owner's.
    assert codes(results) == [OVER, OVER, None, OVER]
    (stored,) = await ledger.stored([key_of()])
    assert len(stored.log) == 3


@pytest.mark.parametrize("seed", range(5))
async def test_given_workers_and_redeliveries_then_each_window_has_its_number(
    seed: int,
) -> None:
    draw = random.Random(seed)
    ledger = MemoryLedger()
    entries = [admitted(number=n, entry=draw.randrange(600) * 1) for n in range(120)]
    entries = list(
        {admitted_entry.entry.entry_id: admitted_entry for admitted_entry in entries}.values()
    )
    delivered = draw.sample(entries + draw.sample(entries, 30), len(entries) + 30)
    ended: dict[str, list[RejectionCode | None]] = {}

    async def worker(part: list[Admitted]) -> None:
        hooked = HookedLedger(ledger)
        for at in range(0, len(part), 7):
            some = list(
                {
                    admitted_entry.entry.entry_id: admitted_entry
                    for admitted_entry in part[at : at + 7]
                }.values()
            )
            for settled_entry in await record(limited(hooked, most=4), some):
                code = None if settled_entry.refusal is None else settled_entry.refusal.code
                ended.setdefault(settled_entry.entry.entry_id, []).append(code)

    await asyncio.gather(*(worker(delivered[n::3]) for n in range(3)))

    windows = Counter(int(admitted_entry.entry.entry_id[:-5]) // 60 for admitted_entry in entries)
    (stored,) = await ledger.stored([key_of()])
    assert stored.windows == {window * 60: min(4, count) for window, count in windows.items()}
    assert len(stored.log) == sum(stored.windows.values())
    recorded = {response.response_id for response in stored.log}
    for admitted_entry in entries:
        let_through = admitted_entry.response.response_id in recorded
        assert (
            ended[admitted_entry.entry.entry_id]
            == [None] * len(ended[admitted_entry.entry.entry_id])
        ) == let_through


# Erasures


async def test_given_an_erasure_in_between_when_recorded_then_it_ends_as_nothing() -> None:
    ledger = MemoryLedger()
    hooked = HookedLedger(ledger)
    await record(limited(ledger), [admitted(number=0)])

    async def before(_: Sequence[Commit]) -> None:
        await ledger.erase(key_of(), START_MS + 2000, refuse=False)

    hooked.before_commit = before
    results = await record(limited(hooked), [admitted(number=1), admitted(number=2)])

    assert codes(results) == [None, None]
    assert all(not result.events for result in results)
    assert (await ledger.stored([key_of()]))[0].version == 0
    assert hooked.commits == 1


async def test_given_an_erased_learner_then_only_later_entries_count() -> None:
    ledger = MemoryLedger()
    await ledger.erase(key_of(), START_MS + 5000, refuse=False)
    batch = [
        # Of one response, which said something else before.
        admitted(number=1, entry=5, concept_ids=["before"]),
        admitted(number=1, entry=6, concept_ids=["after"]),
        admitted(number=2, entry=4),
        admitted(number=3, entry=7),
    ]

    results = by_entry(await record(limited(ledger), batch))

    assert [len(results[entry_id(n)].events) for n in (4, 5, 6, 7)] == [0, 0, 1, 1]
    assert all(result.refusal is None for result in results.values())
    (stored,) = await ledger.stored([key_of()])
    assert {row.concept_id for row in stored.concepts} == {"after", "fractions.add"}


async def test_given_a_refused_learner_then_later_entries_are_forbidden() -> None:
    ledger = MemoryLedger()
    await ledger.erase(key_of(), START_MS + 5000, refuse=True)

    results = await record(
        limited(ledger),
        [admitted(number=1), admitted(number=6), admitted("somebody else", number=7)],
    )

    assert codes(results) == [None, RejectionCode.FORBIDDEN, None]
    refusal = refusal_of(by_entry(results)[entry_id(6)])
    assert "erased" in refusal.reason
    assert refusal.field == "data.response.student_id"
    assert not by_entry(results)[entry_id(1)].events
    assert (await ledger.stored([key_of()]))[0].version == 0


def test_given_no_limit_when_it_arrives_then_it_counts_nowhere() -> None:
    assert arrival_of(admitted(number=1), None) == (START_MS + 1000, None)
