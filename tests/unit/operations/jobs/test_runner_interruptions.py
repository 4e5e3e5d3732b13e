"""Jobs that fail, wait, are stopped, taken over or cancelled while they run."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.streams import JOBS
from tests.support.doubles import fast_retrying
from tests.support.factories import uuid_of
from tests.unit.operations.jobs.conftest import JOB, TENANT, World, request, run, runner_of
from workers.common.errors import LedgerRefused, LedgerUnavailable
from workers.estimation.learner import LearnerKey
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.repair import Rewrite
from workers.ledger.rows import Stored
from workers.operations.jobs.record import JobKey, JobRequest, JobStatus
from workers.operations.jobs.records import Run
from workers.operations.jobs.retrying_ledger import RetryingLedger
from workers.streams.batch import RawBatch, RawEntry

_WITHIN_S = 30.0


class _Ledger(MemoryLedger):
    """Does something else when learners are looked at."""

    def __init__(self, what: Any) -> None:
        super().__init__()
        self.what = what

    async def holders(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        await self.what()
        return await super().holders(after, limit)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (LedgerRefused("no such function"), "no such function"),
        (ValueError("secret detail"), "ValueError"),
    ],
)
async def test_given_work_that_fails_when_run_then_the_job_says_why_and_no_more(
    world: World, error: Exception, words: str
) -> None:
    async def fail() -> None:
        raise error

    world.runner = runner_of(world.redis, _Ledger(fail), world.graph)
    await run(world)

    job = await world.job()
    assert job is not None
    assert job.status is JobStatus.FAILED
    assert words in str(job.problem)
    assert "secret" not in str(job.problem)


async def test_given_a_server_away_when_run_then_the_job_waits_and_is_done(world: World) -> None:
    times: list[int] = []

    async def away_twice() -> None:
        times.append(1)
        if len(times) < 3:
            raise LedgerUnavailable("not there")

    world.runner = runner_of(world.redis, _Ledger(away_twice), world.graph)
    await run(world)

    job = await world.job()
    assert job is not None
    assert job.status is JobStatus.SUCCEEDED


class _Flaky(MemoryLedger):
    """Away at every other call; notes whose logs were read."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.read: list[str] = []

    def _maybe(self) -> None:
        self.calls += 1
        if self.calls % 2:
            raise LedgerUnavailable("not there")

    async def holders(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        self._maybe()
        return await super().holders(after, limit)

    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        self._maybe()
        return await super().learners(after, limit)

    async def stored(
        self, keys: Sequence[LearnerKey], most_answers: int | None = None
    ) -> list[Stored]:
        self._maybe()
        self.read += [key.student_id for key in keys]
        return await super().stored(keys, most_answers)

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        self._maybe()
        return await super().rewrite(rewrites)

    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        self._maybe()
        return await super().seal(audited, accept=accept)


@pytest.mark.parametrize("kind", ["verify", "rebuild", "reconcile"])
async def test_given_a_server_away_repeatedly_then_no_learner_is_examined_anew(
    world: World, kind: str
) -> None:
    ledger = _Flaky()
    ledger.__dict__.update({k: v for k, v in vars(world.ledger).items() if k != "calls"})
    state = ledger._accounts[LearnerKey("school-7", "s003")]
    concept_id = next(iter(state.concepts))
    state.concepts[concept_id] = state.concepts[concept_id]._replace(attempts=99)
    world.runner = runner_of(world.redis, ledger, world.graph)
    await run(world, request(kind))

    job = await world.job()
    assert job is not None
    assert (job.status, job.step) == (JobStatus.SUCCEEDED, 25)
    assert len(await RetryingLedger(ledger, fast_retrying()).sample(3)) == 3
    if kind != "reconcile":
        assert sorted(ledger.read) == [f"s{n:03}" for n in range(1, 50, 2)]
    assert world.runner.waited_for() == {}


async def _started(world: World, *, what: Any = None) -> "asyncio.Task[None]":
    """A job that is in the middle of its work."""
    reached = asyncio.Event()

    async def wait() -> None:
        reached.set()
        await (asyncio.Event().wait() if what is None else what())

    world.runner = runner_of(world.redis, _Ledger(wait), world.graph)
    await world.ask(request())
    task = asyncio.create_task(world.runner.submit(await world.delivered()))
    await asyncio.wait_for(reached.wait(), _WITHIN_S)
    return task


async def test_given_a_running_job_when_stopped_then_another_takes_it_as_it_was(
    world: World,
) -> None:
    task = await _started(world)
    assert world.runner.busy()
    (held,) = world.runner.in_flight
    await world.runner.stop()
    await asyncio.wait_for(task, _WITHIN_S)

    job = await world.job()
    assert job is not None
    assert (job.status, job.started_at) == (JobStatus.QUEUED, None)
    assert await world.pending() == 1
    assert held
    assert not world.runner.in_flight
    # What comes after that is not begun.
    await world.ask(request("verify", 2))
    await world.runner.submit(await world.delivered())
    assert await world.job(2) is None
    # Being stopped is no failure of the job: it may be begun as often as before.
    run = await world.records.begin(JOB, "another")
    assert run is not None
    assert run.attempts == 1


async def test_given_a_job_that_runs_when_another_comes_then_it_waits(world: World) -> None:
    release = asyncio.Event()
    task = await _started(world, what=release.wait)
    await world.ask(request("verify", 2))
    second = asyncio.create_task(world.runner.submit(await world.delivered()))
    while len(world.runner.in_flight) < 2:
        await asyncio.sleep(0)
    assert await world.job(2) is None
    release.set()
    await asyncio.wait_for(asyncio.gather(task, second), _WITHIN_S)

    job = await world.job(2)
    assert job is not None
    assert job.status is JobStatus.SUCCEEDED
    assert await world.pending() == 0


async def test_given_a_job_that_waits_its_turn_when_stopped_then_it_never_begins(
    world: World,
) -> None:
    task = await _started(world)
    await world.ask(request("verify", 2))
    second = asyncio.create_task(world.runner.submit(await world.delivered()))
    while len(world.runner.in_flight) < 2:
        await asyncio.sleep(0)
    await world.runner.stop()
    await asyncio.wait_for(asyncio.gather(task, second), _WITHIN_S)

    assert await world.job(2) is None
    assert await world.pending() == 2


async def test_given_a_job_taken_over_when_it_reports_then_it_is_given_up(
    world: World,
) -> None:
    release = asyncio.Event()
    task = await _started(world, what=release.wait)
    other = await world.records.begin(JOB, "another")
    release.set()
    await asyncio.wait_for(task, _WITHIN_S)

    assert isinstance(other, Run)
    job = await world.job()
    assert job is not None
    assert job.status is JobStatus.RUNNING
    assert await world.pending() == 1


async def test_given_a_running_job_when_cancelled_then_it_never_begins_again(
    world: World,
) -> None:
    task = await _started(world)
    cancelled = await world.records.cancel(JOB, "operator-2")
    with capture_logs() as logs:
        await asyncio.wait_for(task, _WITHIN_S)

    job = await world.job()
    assert job == cancelled
    assert job is not None
    assert (job.status, job.problem) == (JobStatus.CANCELLED, "cancelled by operator-2")
    assert job.ended_at is not None
    assert "job_cancelled" in str(logs)
    assert await world.pending() == 0
    await run(world)
    assert await world.job() == job
    assert await world.pending() == 0


async def test_given_a_job_taken_over_when_it_is_silent_then_it_is_given_up_too(
    world: World,
) -> None:
    task = await _started(world)
    await world.records.begin(JOB, "another")
    await asyncio.wait_for(task, _WITHIN_S)
    job = await world.job()
    assert job is not None
    assert job.status is JobStatus.RUNNING
    assert await world.pending() == 1


async def test_given_a_queued_job_when_cancelled_then_it_is_not_begun(world: World) -> None:
    asked = JobRequest(JOB, "verify", {}, "operator-1")
    await world.records.open(asked, json.dumps(request()).encode())
    await world.records.cancel(JOB, "operator-2")
    await world.runner.submit(await world.delivered())
    job = await world.job()
    assert job is not None
    assert (job.status, job.started_at) == (JobStatus.CANCELLED, None)
    assert await world.pending() == 0
    assert await world.records.cancel(JobKey(TENANT, uuid_of("none")), "x") is None


async def test_given_a_job_whose_worker_ends_each_time_then_it_fails(
    world: World,
) -> None:
    await world.records.open(JobRequest(JOB, "verify"))
    for number in range(2):
        await world.records.begin(JOB, f"run {number}")
    await run(world)

    job = await world.job()
    assert job is not None
    assert job.status is JobStatus.FAILED
    assert "ended 2 times" in str(job.problem)


async def test_given_an_entry_in_flight_delivered_again_then_it_is_taken_once(
    world: World,
) -> None:
    release = asyncio.Event()
    task = await _started(world, what=release.wait)
    (entry_id,) = world.runner.in_flight
    entries: Any = await world.redis.xrange(JOBS, entry_id, entry_id)
    again = RawBatch(JOBS, [RawEntry(entry_id.decode(), fields) for entry_id, fields in entries])
    await asyncio.wait_for(world.runner.submit(again), _WITHIN_S)
    release.set()
    await asyncio.wait_for(task, _WITHIN_S)
