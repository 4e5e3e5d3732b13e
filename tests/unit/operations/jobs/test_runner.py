"""Jobs from their request to their end."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.streams import JOBS, REJECTED
from tests.support.doubles import fast_retrying
from tests.support.factories import MISSING, claims, uuid_of
from tests.unit.operations.jobs.conftest import JOB, TENANT, TRUSTED, World, request, run, runner_of
from workers.common.errors import KeysUnavailable, KeyUnknown, LedgerRefused, LedgerUnavailable
from workers.estimation.learner import LearnerKey
from workers.identity.claims import Identity
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.repair import Rewrite
from workers.ledger.rows import Stored
from workers.operations.jobs.record import JobKey, JobRequest, JobStatus
from workers.operations.jobs.records import JobRecords, Run
from workers.operations.jobs.retrying_ledger import RetryingLedger
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.tries import Tries, tries_key

_WITHIN_S = 30.0


@pytest.mark.parametrize(
    ("event", "code", "words"),
    [
        (b"{", "invalid", "is not JSON"),
        (request(kind="erase"), "invalid", "data.kind is 'erase'"),
        (request(job_id="7"), "invalid", "data.job_id is '7'"),
        (request("verify", parameters={"dry_run": True}), "invalid", "data.parameters.dry_run"),
        ({**request(), "type": "another"}, "invalid", "type"),
        (request(claims={}), "unauthenticated", "data.claims.sub is missing"),
        (request(claims=claims(aud="x")), "unauthenticated", "audience"),
        (request(claims=claims(exp=1)), "unauthenticated", "exp"),
        (request(claims=claims(exp=4_102_444_800)), "forbidden", "JOB_ROLES"),
        (request(claims=claims(role=MISSING, exp=4_102_444_800)), "forbidden", "JOB_ROLES"),
        (request("calibrate", parameters={"x": 10**30}), "invalid", "at most 64 bits"),
        (request("calibrate", parameters={"model": "x"}), "invalid", "choose one of bkt-irt"),
        (request("calibrate", parameters={"activate": "now"}), "invalid", "parameters.activate"),
        (request(token="x" * 600), "too_large", "MAX_TOKEN_BYTES"),
        (request(parameters={"x": "y" * 5_000}), "too_large", "MAX_EVENT_BYTES"),
    ],
)
async def test_given_a_request_that_is_refused_when_taken_then_it_is_kept_whole_and_acked(
    world: World, event: Any, code: str, words: str
) -> None:
    await run(world, event)

    (rejected,) = await world.rejected()
    assert (rejected["code"], rejected["stream"]) == (code, JOBS)
    assert words in rejected["reason"]
    assert "eyJ" not in rejected["reason"]
    text = event if isinstance(event, bytes) else json.dumps(event).encode()
    assert rejected["event"] == text.decode()
    assert await world.pending() == 0
    assert await world.job() is None


async def test_given_an_entry_without_an_event_when_taken_then_it_is_rejected(
    world: World,
) -> None:
    await world.ask(b"{}", "other")
    await world.runner.submit(await world.delivered())

    (rejected,) = await world.rejected()
    assert (rejected["code"], rejected["field"]) == ("invalid", "event")


async def test_given_an_entry_that_waited_too_long_when_taken_then_it_is_rejected(
    world: World,
) -> None:
    await world.redis.xadd(JOBS, {"event": json.dumps(request())}, id="1000-0")
    await world.runner.submit(await world.delivered())

    (rejected,) = await world.rejected()
    assert rejected["code"] == "unauthenticated"
    assert "MAX_QUEUE_AGE_S" in rejected["reason"]


async def test_given_one_id_for_two_things_when_taken_then_the_second_is_a_conflict(
    world: World,
) -> None:
    await run(world)
    await run(world, request("rebuild"))
    await run(world)

    assert [one["code"] for one in await world.rejected()] == ["conflict"]
    assert uuid_of("job", 1) in (await world.rejected())[0]["reason"]


async def test_given_too_many_jobs_when_one_more_is_taken_then_it_is_rejected(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.operations.jobs.records.PER_TENANT", 1)
    await world.records.open(JobRequest(JOB._replace(job_id=uuid_of("job", 9)), "verify"))
    await run(world)

    assert [one["code"] for one in await world.rejected()] == ["rate_limited"]


async def test_given_a_job_that_has_ended_when_delivered_again_then_it_is_acked_and_not_done(
    world: World,
) -> None:
    await run(world)
    before = await world.job()
    await run(world)

    assert await world.job() == before
    assert await world.pending() == 0


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

    async def stored(self, keys: Sequence[LearnerKey]) -> list[Stored]:
        self._maybe()
        self.read += [key.student_id for key in keys]
        return await super().stored(keys)

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        self._maybe()
        return await super().rewrite(rewrites)

    async def seal(self, audited: Sequence[Stored], *, accept: bool = False) -> list[int | None]:
        self._maybe()
        return await super().seal(audited, accept=accept)


@pytest.mark.parametrize("kind", ["verify", "rebuild", "reconcile"])
async def test_given_a_server_away_again_and_again_when_run_then_no_learner_is_looked_at_anew(
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
    again = ["s003"] if kind == "rebuild" else []
    if kind != "reconcile":
        assert sorted(ledger.read) == sorted([f"s{n:03}" for n in range(1, 50, 2)] + again)
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


async def test_given_a_job_that_runs_when_stopped_then_it_is_left_to_another_as_it_was(
    world: World,
) -> None:
    task = await _started(world)
    assert world.runner.busy()
    (held,) = world.runner.held
    await world.runner.stop()
    await asyncio.wait_for(task, _WITHIN_S)

    job = await world.job()
    assert job is not None
    assert (job.status, job.started_at) == (JobStatus.QUEUED, None)
    assert await world.pending() == 1
    assert held
    assert not world.runner.held
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
    while len(world.runner.held) < 2:
        await asyncio.sleep(0)
    assert await world.job(2) is None
    release.set()
    await asyncio.wait_for(asyncio.gather(task, second), _WITHIN_S)

    job = await world.job(2)
    assert job is not None
    assert job.status is JobStatus.SUCCEEDED
    assert await world.pending() == 0


async def test_given_a_job_that_waits_its_turn_when_stopped_then_it_is_never_begun(
    world: World,
) -> None:
    task = await _started(world)
    await world.ask(request("verify", 2))
    second = asyncio.create_task(world.runner.submit(await world.delivered()))
    while len(world.runner.held) < 2:
        await asyncio.sleep(0)
    await world.runner.stop()
    await asyncio.wait_for(asyncio.gather(task, second), _WITHIN_S)

    assert await world.job(2) is None
    assert await world.pending() == 2


async def test_given_a_job_taken_over_when_it_has_something_to_say_then_it_is_given_up(
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


async def test_given_a_job_that_runs_when_cancelled_then_it_is_given_up_and_never_begun_again(
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


async def test_given_a_job_taken_over_when_it_says_nothing_then_it_is_given_up_all_the_same(
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


async def test_given_a_job_whose_worker_ends_each_time_when_taken_up_again_then_it_fails(
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


async def test_given_an_entry_on_its_way_when_delivered_again_then_it_is_not_taken_twice(
    world: World,
) -> None:
    release = asyncio.Event()
    task = await _started(world, what=release.wait)
    (entry_id,) = world.runner.held
    entries: Any = await world.redis.xrange(JOBS, entry_id, entry_id)
    again = RawBatch(JOBS, [RawEntry(one.decode(), fields) for one, fields in entries])
    await asyncio.wait_for(world.runner.submit(again), _WITHIN_S)
    release.set()
    await asyncio.wait_for(task, _WITHIN_S)


async def test_given_a_key_not_known_yet_when_taken_then_the_job_waits_for_newer_keys(
    world: World,
) -> None:
    class Keys:
        asked: int | None = None

        async def newer_than(self, moment_ms: int) -> object:
            self.asked = moment_ms
            return None

    class Tokens:
        def authenticate(self, data: Any, entered_at_s: float, since_ms: int) -> Identity:
            if keys.asked is None:
                raise KeyUnknown
            assert keys.asked >= since_ms
            return TRUSTED.authenticate(data, entered_at_s)

    keys = Keys()
    world.runner = runner_of(world.redis, world.ledger, world.graph, Tokens(), keys)
    await run(world)

    job = await world.job()
    assert job is not None
    assert job.status is JobStatus.SUCCEEDED


async def test_given_an_issuer_away_when_a_key_is_unknown_then_its_job_alone_waits(
    world: World,
) -> None:
    class Keys:
        away = True

        async def newer_than(self, moment_ms: int) -> object:
            assert not world.runner.busy()
            if self.away:
                raise KeysUnavailable(f"nobody answers at {moment_ms}")
            return None

    class Tokens:
        def authenticate(self, data: Any, entered_at_s: float, since_ms: int) -> Identity:
            if keys.away and data.job_id == uuid_of("job", 1):
                raise KeyUnknown
            assert since_ms
            return TRUSTED.authenticate(data, entered_at_s)

    keys = Keys()
    world.runner = runner_of(world.redis, world.ledger, world.graph, Tokens(), keys)
    await world.ask(request())
    await world.ask(request("verify", 2))
    batch = await world.delivered()
    await asyncio.wait_for(world.runner.submit(batch), _WITHIN_S)

    job = await world.job(2)
    assert job is not None
    assert job.status is JobStatus.SUCCEEDED
    assert await world.job(1) is None
    assert await world.pending() == 1
    assert world.runner.waited_for() == {}
    assert not world.runner.held

    keys.away = False
    await world.runner.submit(batch)
    job = await world.job(1)
    assert job is not None
    assert job.status is JobStatus.SUCCEEDED
    assert await world.pending() == 0


async def test_given_a_request_that_fails_unexpectedly_when_tried_then_it_ends_as_poison(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []

    async def fail(self: JobRecords, key: object, name: object) -> None:
        tried.append((self, key, name))
        raise TypeError("secret detail")

    monkeypatch.setattr(JobRecords, "begin", fail)
    await run(world)

    (rejected,) = await world.rejected()
    assert rejected["code"] == "poison"
    assert "failed 2 times (TypeError)" in rejected["reason"]
    assert len(tried) == 2
    assert await world.pending() == 0
    assert await world.redis.hgetall(tries_key(JOBS)) == {}
    job = await world.job()
    assert job is not None
    assert (job.status, job.problem) == (JobStatus.FAILED, rejected["reason"])


async def test_given_a_request_that_failed_before_when_it_fails_again_then_tries_add_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise TypeError

    await world.ask(request())
    batch = await world.delivered()
    await Tries(world.redis).note(JOBS, batch[0].entry_id, 1)
    with monkeypatch.context() as patched:
        patched.setattr(JobRecords, "begin", fail)
        await world.runner.submit(batch)

    assert [one["code"] for one in await world.rejected()] == ["poison"]


@pytest.mark.parametrize("status", list(JobStatus))
async def test_given_a_job_asked_for_elsewhere_when_its_entry_is_refused_then_its_record_says_so(
    world: World, status: JobStatus
) -> None:
    refused = request(claims=claims("operator-1", TENANT, role="service_role", exp=1))
    asked = JobRequest(JOB, "verify", {}, "operator-1")
    opened = await world.records.open(asked, json.dumps(refused).encode())
    run = await world.records.begin(JOB, "run")
    assert run is not None
    await world.records.note(run, replace(opened, status=status))
    async with world.redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(f"job_progress:{JOB.job_id}")
        assert await channel.get_message(timeout=1.0) is None
        await world.runner.submit(await world.delivered())
        said = await channel.get_message(timeout=1.0)

    (rejected,) = await world.rejected()
    job = await world.job()
    assert job is not None
    assert rejected["code"] == "unauthenticated"
    if status.finished:
        assert (job.status, job.problem, said) == (status, None, None)
        return
    assert (job.status, job.problem) == (JobStatus.FAILED, rejected["reason"])
    assert job.ended_at is not None
    assert said is not None
    assert json.loads(said["data"])["payload"]["status"] == "failed"
    # Who was at it has lost it.
    assert not await world.records.note(run, opened)


@pytest.mark.parametrize(
    "changes",
    [{"claims": claims(TENANT, exp=1)}, {"claims": 7}, {"job_id": 7}, {"kind": "rebuild"}],
)
async def test_given_a_queued_job_when_another_entry_is_refused_then_it_is_untouched(
    world: World, changes: dict[str, Any]
) -> None:
    opened = await world.records.open(JobRequest(JOB, "verify", {}, "operator-1"))
    await run(world, request(**changes))

    assert len(await world.rejected()) == 1
    assert await world.job() == opened


async def test_given_a_record_erased_meanwhile_when_begun_then_there_is_none_again(
    world: World,
) -> None:
    opened = await world.records.open(JobRequest(JOB, "verify"))
    await world.records.remove([opened.key])

    assert await world.records.begin(JOB, "run") is None
    assert await world.job() is None


async def test_given_redis_that_refuses_when_acked_then_the_entry_stays_pending(
    world: World,
) -> None:
    await world.redis.set(REJECTED, "no stream")
    await world.ask(request())
    with capture_logs() as logs:
        await world.runner.submit(await world.delivered())

    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["job_left_pending"]
    assert await world.pending() == 1
    assert world.runner.waited_for() == {}
