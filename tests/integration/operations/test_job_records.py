"""Records of jobs in a real Redis."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from contracts.streams import JOBS
from tests.support.factories import uuid_of
from workers.common.errors import Refused
from workers.operations.jobs import records as module
from workers.operations.jobs.record import JobKey, JobRequest, JobStatus
from workers.operations.jobs.records import JobRecords, Run
from workers.operations.jobs.schedule import Schedule
from workers.operations.jobs.scheduler import Scheduler


def _asked(number: int, tenant_id: str = "t", **parameters: Any) -> JobRequest:
    return JobRequest(JobKey(tenant_id, uuid_of("job", number)), "verify", parameters, "operator")


async def test_given_requests_when_opened_then_each_id_is_one_job_and_one_entry(
    redis: Redis,
) -> None:
    records = JobRecords(redis)
    first = await records.open(_asked(1, x=1, y=2), b"{}")
    assert await records.open(_asked(1, y=2, x=1), b"{}") == first
    with pytest.raises(Refused) as refused:
        await records.open(_asked(1, x=2), b"{}")
    assert refused.value.code is RejectionCode.CONFLICT
    await records.open(_asked(1, "another", x=2), b"{}")
    await records.open(_asked(2))

    assert await redis.xlen(JOBS) == 2
    assert await records.find(_asked(1).key) == first
    assert await records.find(JobKey("nobody", _asked(1).key.job_id)) is None
    keys: Any = await redis.keys("{*")
    assert len(keys) == 5
    for key in keys:
        assert 0 < await redis.ttl(key) <= module.KEPT_S


async def test_given_a_refused_entry_then_only_the_job_it_asked_for_has_failed(
    redis: Redis,
) -> None:
    records = JobRecords(redis)
    opened = await records.open(_asked(1), b"{}")
    entries: Any = await redis.xrange(JOBS)
    ((entry_id, _),) = entries
    assert opened.entry_id == entry_id.decode()
    assert not await records.refuse(opened.key, "1-0", "another")
    assert not await records.refuse(_asked(2).key, opened.entry_id, "none")
    run = await records.begin(opened.key, "run")
    assert run is not None
    assert await records.refuse(opened.key, opened.entry_id, "too late")
    record = await records.find(opened.key)
    assert record is not None
    assert (record.status, record.problem) == (JobStatus.FAILED, "too late")
    assert not await records.refuse(opened.key, opened.entry_id, "again")
    assert not await records.note(run, opened)

    lost = await records.open(_asked(3), b"{}")
    await redis.xdel(JOBS, lost.entry_id)
    assert (await records.open(_asked(3), b"{}")).entry_id > lost.entry_id
    await redis.delete(JOBS)
    assert (await records.open(_asked(3), entry_id="7-1")).entry_id == "7-1"
    await records.remove([opened.key, lost.key])
    assert await records.page("t", 9) == ([], None)
    assert await records.begin(lost.key, "run") is None


async def test_given_names_that_look_alike_when_found_then_each_has_its_own(redis: Redis) -> None:
    records = JobRecords(redis)
    job_id = uuid_of("job", 1)
    key = JobKey("urn:school:7", job_id)
    opened = await records.open(JobRequest(key, "verify"))

    assert await records.find(key) == opened
    for tenant_id, other in (
        ("7", f"{job_id}:urn:school"),
        ("school:7", f"{job_id}:urn"),
        ("urn%3Aschool%3A7", job_id),
    ):
        assert await records.find(JobKey(tenant_id, other)) is None
    page, _ = await records.page(key.tenant_id, 1)
    assert page == [opened]


async def test_given_a_full_tenant_and_one_more_job_then_the_oldest_ended_goes(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PER_TENANT", 3)
    records = JobRecords(redis)
    opened = [await records.open(_asked(number)) for number in range(3)]
    with pytest.raises(Refused) as refused:
        await records.open(_asked(3))
    assert refused.value.code is RejectionCode.RATE_LIMITED
    await records.open(_asked(3, "another"))
    run = await records.begin(opened[1].key, "run")
    assert run is not None
    await records.note(run, replace(opened[1], status=JobStatus.FAILED))
    await records.open(_asked(3))

    page, following = await records.page("t", 2)
    assert [record.key for record in page] == [_asked(3).key, opened[2].key]
    assert following is not None
    page, following = await records.page("t", 2, following)
    assert [record.key for record in page] == [opened[0].key]
    assert following is None


async def test_given_two_runs_when_the_first_goes_on_then_it_changes_nothing(
    redis: Redis,
) -> None:
    records = JobRecords(redis)
    opened = await records.open(_asked(1))
    first = await records.begin(opened.key, "first")
    second = await records.begin(opened.key, "second")
    assert first is not None
    assert second is not None
    assert (first.attempts, second.attempts) == (1, 2)
    done = replace(opened, status=JobStatus.SUCCEEDED, progress=1.0, result={"learners": 3})

    async with redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(f"job_progress:{opened.key.job_id}")
        assert await channel.get_message(timeout=5) is None
        assert not await records.note(first, replace(done, result={"learners": 0}))
        assert not await records.put_back(first, opened)
        assert await records.put_back(second, opened)
        third = await records.begin(opened.key, "third")
        assert third is not None
        assert third.attempts == 2
        assert await records.note(third, done)
        said = [await channel.get_message(timeout=5) for _ in range(2)]
    assert b'"learners":3' in said[1]["data"]
    assert await records.find(opened.key) == done
    assert await records.begin(opened.key, "fourth") is None


async def test_given_a_job_when_cancelled_then_it_has_ended_and_no_run_has_it(
    redis: Redis,
) -> None:
    records = JobRecords(redis)
    for number in (1, 2):
        await records.open(_asked(number), b"{}")
    run = await records.begin(_asked(1).key, "run")
    assert run is not None
    assert await records.owns(run)
    async with redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(f"job_progress:{_asked(1).key.job_id}")
        running, queued = [await records.cancel(_asked(n).key, "operator") for n in (1, 2)]
        message = None
        while message is None:
            message = await channel.get_message(timeout=1.0)
    assert running is not None
    assert queued is not None
    assert (running.status, queued.status) == (JobStatus.CANCELLED, JobStatus.CANCELLED)
    assert running.problem == "cancelled by operator"
    assert b"cancelled" in message["data"]
    assert not await records.owns(run)
    assert not await records.note(run, replace(running, status=JobStatus.SUCCEEDED))
    assert not await records.refuse(running.key, running.entry_id, "too late")
    assert await records.begin(queued.key, "another") is None
    # Again, and of one that has ended: as it was.
    assert await records.cancel(running.key, "somebody") == running
    await redis.hset(f"{{{JOBS}}}:record:{queued.key.job_id}:t", "status", "failed")
    ended = await records.cancel(queued.key, "somebody")
    assert ended is not None
    assert ended.status is JobStatus.FAILED
    assert not await records.owns(Run(_asked(9).key, "run", 1))


async def test_given_workers_when_a_slot_comes_then_its_job_is_asked_for_once(redis: Redis) -> None:
    schedule = Schedule({"verify": "* * * * *"}, ("t",), "tenant_id", 3_600)
    workers = [
        Scheduler(schedule=schedule, records=JobRecords(redis), client=redis) for _ in range(8)
    ]
    await redis.hset(f"{{{JOBS}}}:schedule", "* * * * * verify t", "0")
    asked = [slot for slots in await asyncio.gather(*(w.look() for w in workers)) for slot in slots]
    # One, or two where a minute ended meanwhile.
    assert await redis.xlen(JOBS) == len({slot.at_ms for slot in asked}) in {1, 2}
