"""Following a job while Redis comes and goes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.unit.operations.jobs.conftest import JOB, World
from workers.common.errors import RedisUnavailable
from workers.operations.jobs import progress_feed as watching
from workers.operations.jobs.progress_feed import JobWatch
from workers.operations.jobs.record import JobRecord, JobRequest, JobStatus
from workers.operations.jobs.records import Run

_WITHIN_S = 30.0


@pytest.fixture
async def watch(world: World) -> AsyncIterator[JobWatch]:
    watch = JobWatch(world.redis, world.records)
    yield watch
    await watch.close()


async def _begun(world: World) -> tuple[JobRecord, Run]:
    record = await world.records.open(JobRequest(JOB, "verify"))
    run = await world.records.begin(JOB, "run")
    assert run is not None
    return replace(record, status=JobStatus.RUNNING), run


async def _next(messages: AsyncIterator[str]) -> Any:
    async with asyncio.timeout(_WITHIN_S):
        return json.loads(await anext(messages))


async def test_given_several_who_watch_when_a_job_moves_on_then_each_is_told(
    world: World, watch: JobWatch
) -> None:
    record, run = await _begun(world)
    async with (
        aclosing(watch.messages(JOB)) as watched,
        aclosing(watch.messages(JOB)) as two,
    ):
        for each in (watched, two):
            assert (await _next(each))["progress"] == 0
        await world.records.note(run, replace(record, progress=0.5))
        for each in (watched, two):
            assert (await _next(each))["progress"] == 0.5


async def test_given_a_silent_channel_when_time_passes_then_the_record_is_read(
    world: World, watch: JobWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LOOK_S", 0.01)
    monkeypatch.setattr(watching, "_AWAY_S", 0.01)
    failed = asyncio.Event()

    def away(**_: Any) -> Any:
        failed.set()
        raise ConnectionError

    monkeypatch.setattr(world.redis, "pubsub", away)
    record, run = await _begun(world)
    with capture_logs() as logs:
        async with aclosing(watch.messages(JOB)) as messages:
            assert (await _next(messages))["progress"] == 0
            await asyncio.wait_for(failed.wait(), _WITHIN_S)
            await world.records.note(run, replace(record, progress=0.5))
            assert (await _next(messages))["progress"] == 0.5
    assert "job_progress_waits" in {line["event"] for line in logs}


async def test_given_redis_away_for_a_while_when_watched_then_it_goes_on(
    world: World, watch: JobWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_AWAY_S", 0.01)
    await _begun(world)
    find, times = world.records.find, iter(range(2))

    async def away_twice(key: Any) -> Any:
        if next(times, None) is not None:
            raise RedisUnavailable("away")
        return await find(key)

    monkeypatch.setattr(world.records, "find", away_twice)
    async with aclosing(watch.messages(JOB)) as messages:
        assert (await _next(messages))["payload"]["status"] == "running"


async def test_given_a_job_whose_record_is_gone_when_watched_then_nothing_comes(
    watch: JobWatch,
) -> None:
    async with asyncio.timeout(_WITHIN_S):
        assert [message async for message in watch.messages(JOB)] == []
