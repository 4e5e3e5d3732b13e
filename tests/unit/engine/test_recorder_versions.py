"""Another version of the parameters while batches are recorded: none is recorded under both."""

import asyncio
import json
import random
from collections import Counter
from typing import Any

import pytest

from tests.support.doubles import (
    HookedLedger,
    admitted,
    fast_retrying,
    key_of,
    record,
)
from tests.support.examples import examples
from workers.common.errors import ParametersRefused
from workers.common.rate_limit import RateLimit
from workers.engine.recorder import Recorder
from workers.estimation.documents import parameters_document
from workers.estimation.last_step import PredictionWeights
from workers.estimation.parameters import BktParameters, Parameters
from workers.estimation.scales import ConceptOffset, ScaleParameters
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameter_versions import ParametersSource
from workers.metrics.engine_metrics import EngineMetrics
from workers.operations.repair.background_replay import Replayer
from workers.operations.repair.verifying import verify
from workers.publishing.settled import Settled

OTHER = parameters_document(Parameters(default=BktParameters(0.4, 0.2, 0.15, 0.05)))
CALIBRATED = parameters_document(
    Parameters(
        default=BktParameters(
            0.3,
            0.1,
            0.2,
            0.15,
            0.03,
            decay_per_day=0.05,
            covariance=tuple(tuple(0.01 * (i == j) for j in range(5)) for i in range(5)),
        ),
        any_scale=ScaleParameters(
            0.2,
            1.5,
            0.01,
            concept_offset=ConceptOffset(0.5, 0.01, 0.02),
            prediction=PredictionWeights(0.1, 0.6, 0.3, 0.4, 0.2, 0.1, 0.2),
        ),
    )
)
STUDENTS = ("s1", "s2", "s3")


class Office:
    """A ledger, and workers that share it, each with what it knows of versions."""

    def __init__(self) -> None:
        self.memory = MemoryLedger()

    def worker(self, rate_limit: RateLimit | None = None) -> "Desk":
        return Desk(self.memory, rate_limit)

    async def store(self, document: dict[str, Any] = OTHER) -> int:
        return await self.memory.store("bkt", document, {}, "")

    async def assert_all_under(self, version: int) -> None:
        source = ParametersSource(self.memory, 0.95)
        assert (await source.refresh()).version == version
        pages = [page async for page in verify(self.memory, source)]
        assert [difference for page in pages for difference in page.differences] == []
        assert sum(page.outdated for page in pages) == 0


class Desk:
    """One worker."""

    def __init__(self, memory: MemoryLedger, rate_limit: RateLimit | None) -> None:
        self.ledger = HookedLedger(memory)
        self.source = ParametersSource(memory, 0.95)
        self.meter = EngineMetrics("0")
        self.recorder = Recorder(
            ledger=self.ledger,
            parameters=self.source,
            retrying=fast_retrying(),
            meter=self.meter,
            rate_limit=rate_limit,
        )

    async def record(self, *entries: Any) -> list[Settled]:
        return await record(self.recorder, entries)


def published(results: list[Settled]) -> int:
    return sum(result.recorded is not None for result in results)


async def test_given_an_unnoticed_activation_then_the_response_is_under_the_new() -> None:
    office = Office()
    worker = office.worker()
    await worker.record(admitted("s1", 0), admitted("s1", 1))
    version = await office.store()
    await office.memory.activate(version, "better")

    results = await worker.record(admitted("s1", 2), admitted("s2", 0))

    assert published(results) == 2
    assert worker.source.active.version == version
    # The state in the cache is under the old version.
    assert (worker.ledger.loads, worker.ledger.commits) == (3, 2)
    await office.assert_all_under(version)


async def test_given_parameters_with_covariance_then_no_concept_comes_twice() -> None:
    office = Office()
    worker = office.worker()
    await worker.record(admitted("s1", 0), admitted("s1", 1))
    await office.memory.activate(await office.store(CALIBRATED), "better")

    results = await worker.record(admitted("s1", 2), admitted("s1", 3))

    assert [len(result.events) for result in results] == [1, 1]
    assert all(
        json.loads(e)["data"]["mastery_interval"] for result in results for e in result.events
    )


async def test_given_an_activation_after_the_load_then_all_is_folded_again() -> None:
    office = Office()
    worker = office.worker()
    await worker.record(admitted("s1", 0))
    version = await office.store()

    async def activate(_: object) -> None:
        worker.ledger.before_commit = _nothing
        await office.memory.activate(version, "better")

    worker.ledger.before_commit = activate
    results = await worker.record(admitted("s1", 1), admitted("s2", 0), admitted("s3", 0))

    assert published(results) == 3
    assert worker.ledger.commits == 3
    assert worker.ledger.loads == 3
    await office.assert_all_under(version)


async def test_given_a_worker_unaware_of_the_version_then_no_learner_goes_back() -> None:
    office = Office()
    fast, slow = office.worker(), office.worker()
    await slow.record(admitted("s1", 0))
    version = await office.store()
    await office.memory.activate(version, "better")
    await fast.record(admitted("s1", 1))
    assert (fast.source.active.version, slow.source.active.version) == (version, 1)

    results = await slow.record(admitted("s1", 2), admitted("s1", 3))

    assert published(results) == 2
    await office.assert_all_under(version)


async def test_given_a_rate_and_an_activation_in_between_then_excess_is_refused() -> None:
    office = Office()
    worker = office.worker(RateLimit(2, "minute"))
    version = await office.store()

    async def activate(_: object) -> None:
        worker.ledger.before_commit = _nothing
        await office.memory.activate(version, "better")

    worker.ledger.before_commit = activate
    results = await worker.record(*(admitted("s1", number) for number in range(4)), admitted("s2"))

    assert published(results) == 3
    assert sum(result.refusal is not None for result in results) == 2
    await office.assert_all_under(version)


async def test_given_a_version_that_cant_be_read_when_recorded_then_it_says_why() -> None:
    office = Office()
    worker = office.worker()
    await worker.record(admitted("s1", 0))
    version = await office.store(OTHER | {"of_a_newer_engine": {}})
    await office.memory.activate(version, "too early")

    with pytest.raises(ParametersRefused, match=r"of_a_newer_engine.*upgrade it"):
        await worker.record(admitted("s1", 1))

    (stored,) = await office.memory.stored([key_of("s1")])
    assert (len(stored.responses), stored.parameters_version) == (1, 1)


@pytest.mark.parametrize("seed", range(examples(25)))
async def test_given_workers_and_activations_at_once_then_the_last_version_wins(
    seed: int,
) -> None:
    draw = random.Random(seed)
    office = Office()
    versions = [1, await office.store(), await office.store(CALIBRATED)]
    workers = [office.worker(), office.worker()]

    async def moment(_: object) -> None:
        for _turn in range(draw.randint(0, 3)):
            await asyncio.sleep(0)
        if draw.random() < 0.2:
            await office.memory.activate(draw.choice(versions), "for a change")

    for worker in workers:
        worker.ledger.before_load = worker.ledger.before_commit = moment
    entries = [admitted(student, number) for student in STUDENTS for number in range(12)]

    async def work(worker: Desk) -> list[Settled]:
        results = []
        # Both take all of it, as after a redelivery: who is second finds it recorded.
        mine = draw.sample(entries, len(entries))
        while mine:
            size = draw.randint(1, 6)
            results += await worker.record(*mine[:size])
            mine = mine[size:]
        return results

    async def replays() -> None:
        for _ in range(6):
            await asyncio.sleep(0)
            await _replayer(office, ParametersSource(office.memory, 0.95)).replay()

    replaying = asyncio.create_task(replays())
    results_of_workers = await asyncio.gather(*map(work, workers))
    await replaying

    last = await office.memory.active_version()
    await _replayer(office, workers[0].source).replay()
    await office.assert_all_under(last)
    logged = [
        learner for key in map(key_of, STUDENTS) for learner in await office.memory.stored([key])
    ]
    assert sum(len(learner.responses) for learner in logged) == len(entries)
    # The owner's entry publishes, whoever sees it through: the same events each time.
    said = {
        event for results in results_of_workers for result in results for event in result.events
    }
    ids = Counter(json.loads(event)["id"] for event in said)
    assert len(said) >= len(entries)
    assert set(ids.values()) == {1}


def _replayer(office: Office, source: ParametersSource) -> Replayer:
    return Replayer(
        ledger=office.memory, versions=source, meter=EngineMetrics("0"), retrying=fast_retrying()
    )


async def _nothing(_: object) -> None:
    pass
