"""Jobs from their request to their end."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.streams import JOBS, REJECTED
from tests.support.factories import MISSING, claims, uuid_of
from tests.unit.operations.jobs.conftest import JOB, TENANT, TRUSTED, World, request, run, runner_of
from workers.common.errors import KeysUnavailable, KeyUnknown
from workers.identity.claims import Identity
from workers.operations.jobs.record import JobRequest, JobStatus
from workers.operations.jobs.records import JobRecords
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
        (request(claims={}), "unauthenticated", "data.claims.sub, "),
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
async def test_given_a_refused_request_when_taken_then_it_stays_whole_and_acked(
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


async def test_given_an_entry_that_waited_too_long_then_it_is_rejected(
    world: World,
) -> None:
    await world.redis.xadd(JOBS, {"event": json.dumps(request())}, id="1000-0")
    await world.runner.submit(await world.delivered())

    (rejected,) = await world.rejected()
    assert rejected["code"] == "unauthenticated"
    assert "MAX_QUEUE_AGE_S" in rejected["reason"]


async def test_given_one_id_for_two_things_when_taken_then_the_second_conflicts(
    world: World,
) -> None:
    await run(world)
    await run(world, request("rebuild"))
    await run(world)

    assert [rejection["code"] for rejection in await world.rejected()] == ["conflict"]
    assert uuid_of("job", 1) in (await world.rejected())[0]["reason"]


async def test_given_too_many_jobs_when_one_more_is_taken_then_it_is_rejected(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.operations.jobs.records.PER_TENANT", 1)
    await world.records.open(JobRequest(JOB._replace(job_id=uuid_of("job", 9)), "verify"))
    await run(world)

    assert [rejection["code"] for rejection in await world.rejected()] == ["rate_limited"]


async def test_given_an_ended_job_delivered_again_then_it_is_acked_and_not_done(
    world: World,
) -> None:
    await run(world)
    before = await world.job()
    await run(world)

    assert await world.job() == before
    assert await world.pending() == 0


async def test_given_a_key_not_known_yet_then_the_job_waits_for_newer_keys(
    world: World,
) -> None:
    class Keys:
        asked: int | None = None

        async def newer_than(self, moment_ms: int) -> object:
            self.asked = moment_ms
            return None

    class Tokens:
        def authenticate(
            self, data: Any, entered_at_s: float, since_ms: int, now_s: float | None = None
        ) -> Identity:
            if keys.asked is None:
                raise KeyUnknown
            assert keys.asked >= since_ms
            return TRUSTED.authenticate(data, entered_at_s, now_s=now_s)

    keys = Keys()
    world.runner = runner_of(world.redis, world.ledger, world.graph, Tokens(), keys)
    await run(world)

    job = await world.job()
    assert job is not None
    assert job.status is JobStatus.SUCCEEDED


async def test_given_an_absent_issuer_and_unknown_key_then_its_job_alone_waits(
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
        def authenticate(
            self, data: Any, entered_at_s: float, since_ms: int, now_s: float | None = None
        ) -> Identity:
            if keys.away and data.job_id == uuid_of("job", 1):
                raise KeyUnknown
            assert since_ms
            return TRUSTED.authenticate(data, entered_at_s, now_s=now_s)

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
    assert not world.runner.in_flight

    keys.away = False
    await world.runner.submit(batch)
    job = await world.job(1)
    assert job is not None
    assert job.status is JobStatus.SUCCEEDED
    assert await world.pending() == 0


async def test_given_a_request_that_fails_unexpectedly_then_it_ends_as_poison(
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


async def test_given_a_request_that_failed_before_then_its_tries_add_up(
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

    assert [rejection["code"] for rejection in await world.rejected()] == ["poison"]


@pytest.mark.parametrize("status", list(JobStatus))
async def test_given_a_refused_entry_of_a_job_elsewhere_then_the_record_says_so(
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
        said = await channel.get_message(timeout=0.1)

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
async def test_given_a_queued_job_and_another_refused_entry_then_it_is_untouched(
    world: World, changes: dict[str, Any]
) -> None:
    opened = await world.records.open(JobRequest(JOB, "verify", {}, "operator-1"))
    await run(world, request(**changes))

    assert len(await world.rejected()) == 1
    assert await world.job() == opened


async def test_given_a_record_erased_meanwhile_then_begin_makes_none_again(
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
