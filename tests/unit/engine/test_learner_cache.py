"""The cache of learners' states: what it returns is what a load would, or nothing."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.doubles import (
    ROUTE,
    FakePublisher,
    HookedLedger,
    admitted,
    batch,
    engine,
    entry_id,
    key_of,
    raw,
    record,
    recorder,
)
from tests.support.factories import answer, event_json, logs
from tests.support.ledger_steps import assert_stored, folded, load, stored
from workers.engine.learner_cache import LearnerCache
from workers.estimation.learner import LearnerKey, Response
from workers.ledger.exchange import Commit, Committed
from workers.ledger.memory.ledger import MemoryLedger

KEY = LearnerKey("school-7", "student-42")


async def commit(
    ledger: MemoryLedger, cache: LearnerCache, responses: Sequence[Response], *, again: bool = True
) -> None:
    """Load, fold and commit as the recorder does; the cache follows."""
    state = await load(ledger, KEY, responses)
    cache.keep_loaded(KEY, state)
    await settle(ledger, cache, folded(KEY, state, responses))
    assert again


def asked_names(responses: Sequence[Response], name: str) -> set[str | None]:
    """Return the concepts, scales or sessions that responses touch."""
    if name == "concepts":
        return {concept_id for response in responses for concept_id in response.concept_ids}
    return {r.scale if name == "abilities" else r.session_id for r in responses}


async def settle(ledger: MemoryLedger, cache: LearnerCache, made: Commit) -> None:
    """Commit; the cache follows."""
    cache.keep_folded(made)
    (answered,) = await ledger.commit([made])
    assert isinstance(answered, Committed)
    made.version = answered.versions[-1]
    cache.settle(made)


@given(logs(), st.integers(1, 4))
async def test_given_commits_when_asked_then_the_answer_is_that_of_a_load(
    log: list[Response], step: int
) -> None:
    ledger, cache = MemoryLedger(), LearnerCache()
    for start in range(0, len(log), step):
        await commit(ledger, cache, log[start : start + step])
        late = max(r.position for r in log[: start + step]).answered_at_us + 1
        for response in log:
            asked = [response._replace(response_id="new", answered_at_us=late)]
            known = cache.loaded(KEY, asked, 1)
            real = await load(ledger, KEY, asked)
            if known is not None:
                # A load returns the other states of a learner who has few, too.
                for name in ("concepts", "abilities", "sessions"):
                    states = getattr(known.learner, name)
                    theirs = getattr(real.learner, name)
                    touched = asked_names(asked, name)
                    assert states == {k: v for k, v in theirs.items() if k in touched}
                assert (known.learner.version, known.learner.last) == (
                    real.learner.version,
                    real.learner.last,
                )
                assert (known.kept, known.responses) == (real.kept, real.responses)


async def test_given_few_concepts_when_loaded_then_a_new_one_is_known_to_be_new() -> None:
    ledger, cache = MemoryLedger(), LearnerCache()
    await commit(ledger, LearnerCache(), [answer(n, concepts=(f"c{n}",)) for n in range(32)])

    cache.keep_loaded(KEY, await load(ledger, KEY, [answer(40, concepts=("c1",))]))
    known = cache.loaded(KEY, [answer(40, concepts=("c2", "new"))], 1)
    assert known is not None
    assert known.learner.concepts.keys() == {"c2"}

    await commit(ledger, LearnerCache(), [answer(33, concepts=("one more",))])
    cache.keep_loaded(KEY, await load(ledger, KEY, [answer(40, concepts=("c1",))]))
    assert cache.loaded(KEY, [answer(40, concepts=("c1",))], 1) is not None
    assert cache.loaded(KEY, [answer(40, concepts=("new",))], 1) is None


async def test_given_a_late_response_or_other_parameters_then_it_is_unknown() -> None:
    ledger, cache = MemoryLedger(), LearnerCache()
    await commit(ledger, cache, [answer(5)])

    assert cache.loaded(KEY, [answer(6)], 1) is not None
    assert cache.loaded(KEY, [answer(4)], 1) is None
    assert cache.loaded(KEY, [answer(6)], 2) is None
    assert cache.loaded(LearnerKey("school-7", "other"), [answer(6)], 1) is None


async def test_given_a_fold_then_its_state_is_known_ahead_of_its_commit() -> None:
    ledger, cache = MemoryLedger(), LearnerCache()
    state = await load(ledger, KEY, [answer(1)])
    cache.keep_loaded(KEY, state)
    made = folded(KEY, state, [answer(1)])
    cache.keep_folded(made)

    known = cache.loaded(KEY, [answer(2)], 1, ahead=True)
    assert known is not None
    assert (known.after, known.learner.concepts) == (made, made.folded.learner.concepts)
    assert cache.in_flight(KEY)
    assert cache.loaded(KEY, [answer(2)], 1) is None


async def test_given_a_commit_that_failed_then_no_state_from_it_is_known() -> None:
    ledger, cache = MemoryLedger(), LearnerCache()
    state = await load(ledger, KEY, [answer(1)])
    cache.keep_loaded(KEY, state)
    first = folded(KEY, state, [answer(1)])
    cache.keep_folded(first)
    known = cache.loaded(KEY, [answer(2)], 1, ahead=True)
    assert known is not None
    second = folded(KEY, known, [answer(2)])
    second.after = known.after
    cache.keep_folded(second)

    cache.settle(first)

    assert cache.loaded(KEY, [answer(3)], 1, ahead=True) is None
    assert not second.follow()
    cache.settle(second)
    assert not cache.in_flight(KEY)


async def test_given_more_states_than_the_bound_then_the_least_recent_go() -> None:
    ledger, cache = MemoryLedger(), LearnerCache(most_parts=9)
    keys = [LearnerKey("school-7", f"s{number}") for number in range(4)]
    for key in keys:
        state = await load(ledger, key, [answer(1)])
        cache.keep_loaded(key, state)
        await settle(ledger, cache, folded(key, state, [answer(1)]))

    known = [key for key in keys if cache.loaded(key, [answer(2)], 1) is not None]

    assert known == keys[1:]


async def test_given_a_known_learner_when_recorded_then_nothing_is_loaded() -> None:
    ledger = HookedLedger()
    work = recorder(ledger)
    for number in range(4):
        (settled,) = await record(work, [admitted(number=number)])
        assert settled.events

    assert (ledger.loads, ledger.commits) == (1, 4)
    learner = await stored(ledger.inner, key_of())
    await assert_stored(ledger.inner, key_of(), learner.log)


async def test_given_a_repeat_of_a_known_learner_then_its_events_are_the_same() -> None:
    ledger = HookedLedger()
    work = recorder(ledger)
    (first,) = await record(work, [admitted(number=1)])
    (repeat,) = await record(work, [admitted(number=1)])
    (other,) = await record(work, [admitted(number=1, entry=9)])

    assert list(repeat.events) == list(first.events)
    assert not other.events
    assert (ledger.loads, ledger.committed) == (3, 3)
    assert len((await stored(ledger.inner, key_of())).log) == 1


async def test_given_another_worker_between_then_the_stale_state_conflicts() -> None:
    ledger = HookedLedger()
    work, other = recorder(ledger), recorder(ledger.inner)
    await record(work, [admitted(number=1)])
    await record(other, [admitted(number=2, entry=12)])

    (settled,) = await record(work, [admitted(number=3)])

    assert settled.events
    assert (ledger.loads, ledger.commits) == (2, 3)
    learner = await stored(ledger.inner, key_of())
    assert len(learner.log) == 3
    await assert_stored(ledger.inner, key_of(), learner.log)


@pytest.mark.parametrize("refuse", [False, True])
async def test_given_an_erasure_of_a_known_learner_then_the_commit_notices(refuse: bool) -> None:
    ledger, publisher = HookedLedger(), FakePublisher(entry_id(1), entry_id(2))
    work = engine(ledger, publisher)
    await work.submit(ROUTE, batch(raw(event_json(number=1), 1)))
    await work.drain()
    until_ms = int(entry_id(2).partition("-")[0]) - (1 if refuse else 0)
    await ledger.inner.erase(key_of(), until_ms, refuse=refuse)

    await work.submit(ROUTE, batch(raw(event_json(number=2), 2)))
    await work.drain()

    assert publisher.pending == set()
    assert len(publisher.rejected) == (1 if refuse else 0)
    assert (await stored(ledger.inner, key_of())).log == []
