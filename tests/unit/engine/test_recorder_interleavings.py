"""Any interleaving of two workers, repeats, lateness and crashes ends in the same state."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from decimal import localcontext
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import oracle
from tests.support.doubles import (
    PARAMETERS,
    ROUTE,
    FakePublisher,
    HookedLedger,
    admitted,
    entry_id,
    record,
    recorder,
)
from tests.support.examples import examples
from tests.support.factories import START_US, logs, rows, uuid_of
from workers.admission.verdicts import Admitted
from workers.engine.recorder import Recorder
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.replay import replay
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.repair.verifying import differences

STUDENTS = ("s1", "s2")


class Crash(BaseException):
    """The process is gone, whatever it was doing."""


class Trial:
    """Two workers on one stream and one ledger; what happens when is drawn from a seed.

    Args:
        entries: the stream, in order.
        seed: of all that is left to chance.
        crashes: chance that a worker ends before or after any one call of the ledger.
    """

    def __init__(self, entries: Sequence[Admitted], seed: int, crashes: float) -> None:
        self.entries = {admitted_entry.entry.entry_id: admitted_entry for admitted_entry in entries}
        self.publisher = FakePublisher(*self.entries)
        self.ledger = MemoryLedger()
        self._draw = random.Random(seed)
        self._crashes = crashes

    async def run(self) -> None:
        names = list(self.entries)
        await asyncio.gather(self._work(names), self._work(self._draw.sample(names, len(names))))
        while self.publisher.pending:
            self._crashes /= 2
            left = list(self.publisher.pending)
            await asyncio.gather(*(self._work(self._draw.sample(left, len(left))) for _ in "ab"))

    async def _work(self, names: list[str]) -> None:
        """A worker, started again after each crash; what it takes, the other may have taken."""
        while names:
            size = self._draw.randint(1, 4)
            batch, names = names[:size], names[size:]
            try:
                await self._batch([self.entries[name] for name in batch])
            except Crash:
                continue

    async def _batch(self, batch: list[Admitted]) -> None:
        ledger = HookedLedger(self.ledger)
        ledger.before_load = ledger.before_commit = ledger.after_commit = self._moment
        worker: Recorder = recorder(ledger)
        settled = await record(worker, batch)
        await self._moment(settled)
        await self.publisher.publish(ROUTE, settled)

    async def _moment(self, _: object) -> None:
        for _turn in range(self._draw.randint(0, 4)):
            await asyncio.sleep(0)
        if self._draw.random() < self._crashes:
            raise Crash


@st.composite
def streams(draw: st.DrawFn) -> list[Admitted]:
    """Entries of two students' responses: late, repeated, a few with another content."""
    entries = []
    for student in STUDENTS:
        for response in draw(logs(max_size=8)):
            for copy in range(draw(st.sampled_from((1, 1, 2, 3)))):
                altered = copy > 0 and draw(st.integers(0, 5)) == 0
                entries.append(
                    (student, response._replace(item_id="another") if altered else response)
                )
    shuffled = draw(st.permutations(entries))
    return [_admitted(*pair, number) for number, pair in enumerate(shuffled)]


def _admitted(student: str, response: Response, number: int) -> Admitted:
    made = admitted(student, number)
    return made._replace(response=response, key=LearnerKey("school-7", student))


@settings(max_examples=examples(150))
@given(streams(), st.integers(0, 2**32), st.sampled_from((0.0, 0.1, 0.4)))
def test_given_any_interleaving_with_all_acked_then_state_and_events_hold(
    entries: list[Admitted], seed: int, crashes: float
) -> None:
    trial = Trial(entries, seed, crashes)
    asyncio.run(trial.run())

    learners = asyncio.run(trial.ledger.stored([LearnerKey("school-7", s) for s in STUDENTS]))
    log = {(learner.key, row.response_id): row for learner in learners for row in learner.log}
    assert log.keys() == {(entry.key, entry.response.response_id) for entry in entries}
    for learner in learners:
        assert not list(differences(learner, replay(learner.log, PARAMETERS), PARAMETERS))
        _assert_oracle(learner.log, {row.concept_id: row for row in learner.concepts})

    assert sorted(trial.publisher.acknowledged) == sorted(trial.entries)
    _assert_events(trial, log)
    refused = {e.entry.entry_id for e in entries if e.response.item_id != _of(log, e).item_id}
    rejections = [event["data"] for event in trial.publisher.rejected]
    assert {rejection["entry_id"] for rejection in rejections} == refused
    assert [rejection["code"] for rejection in rejections] == ["conflict"] * len(refused)


def _of(log: dict[tuple[LearnerKey, str], Response], entry: Admitted) -> Response:
    return log[entry.key, entry.response.response_id]


def _assert_oracle(log: Sequence[Response], concepts: dict[str, Any]) -> None:
    state = oracle.replay(rows(log))
    assert concepts.keys() == state.concepts.keys()
    with localcontext(oracle.exactly()):
        for concept, mastery in state.mastery().items():
            assert abs(float(mastery) - concepts[concept].mastery) <= 1e-12
            assert concepts[concept].attempts == state.concepts[concept].attempts


def _assert_events(trial: Trial, log: dict[tuple[LearnerKey, str], Response]) -> None:
    """Each response's events are published once, by one of its entries, under one version."""
    published = trial.publisher.published
    assert max(Counter(event["id"] for event in published).values()) == 1
    causes: dict[tuple[str, str], set[tuple[str, int]]] = {}
    told: dict[tuple[str, str], set[str]] = {}
    for event in published:
        data = event["data"]
        name = (data["student_id"], data["response_id"])
        causes.setdefault(name, set()).add((event["causationid"], data["version"]))
        told.setdefault(name, set()).add(data["concept_id"])
    assert causes.keys() == {(key.student_id, response_id) for key, response_id in log}
    assert all(len(by) == 1 for by in causes.values())
    versions = [version for by in causes.values() for _, version in by]
    assert len(set(versions)) == len(versions)
    for (key, response_id), response in log.items():
        assert told[key.student_id, response_id] >= set(response.concept_ids)
        ((cause, _),) = causes[key.student_id, response_id]
        owners = [e for e in trial.entries.values() if e.event.id == cause]
        assert [(o.key, o.response.item_id) for o in owners] == [(key, response.item_id)]


def test_given_the_trial_then_its_crashes_do_happen() -> None:
    """Else the property above would prove little."""
    happened = Counter[str]()

    async def moment(_: object) -> None:
        try:
            await original(_)
        except Crash:
            happened["crash"] += 1
            raise

    entries = [_admitted("s1", _response(n), n) for n in range(12)]
    trial = Trial(entries, seed=1, crashes=0.4)
    original, trial._moment = trial._moment, moment  # type: ignore[method-assign]  # watched
    asyncio.run(trial.run())

    assert happened["crash"] > 3
    assert sorted(trial.publisher.acknowledged) == sorted(entry_id(n) for n in range(12))


def _response(number: int) -> Response:
    at_us = START_US - number
    return Response(uuid_of("r", number), None, "i", ("a", "b"), "default", 1.0, at_us)
