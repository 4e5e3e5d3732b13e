"""Jobs that settings ask for: when, once, and not when somebody else says so."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.streams import JOBS
from tests.support.factories import changed, uuid_of
from tests.unit.operations.jobs.conftest import TRUSTED, World, runner_of
from workers.common.cron import check, latest
from workers.common.errors import SettingsError
from workers.config.loading import load_settings
from workers.operations.jobs import scheduler as module
from workers.operations.jobs.admission import JobAdmission
from workers.operations.jobs.record import JobKey, JobStatus
from workers.operations.jobs.records import JobRecords
from workers.operations.jobs.schedule import Schedule, Slot
from workers.operations.jobs.scheduler import Scheduler

NIGHTLY = "30 3 * * *"
SCHEDULE = Schedule(
    {"verify": NIGHTLY, "calibrate": "0 4 * * 0"}, ("school-7", "school-8"), "app.tenant", 86_400
)


def _ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("x", "1 fields"),
        ("0 30 3 * * 0", "6 fields"),
        ("61 * * * *", "minute"),
        ("0 0 31 2 *", "cron"),
        ("", "0 fields"),
    ],
)
def test_given_an_invalid_expression_then_value_and_remedy_are_named(
    expression: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words) as error:
        check(expression)
    assert repr(expression) in str(error.value)
    assert "30 3 * * 0" in str(error.value)


def test_given_an_expression_then_its_latest_moment_is_not_after_now() -> None:
    slot = _ms(2026, 11, 21, 3, 30)
    for now_ms in (slot, slot + 59_999, slot + 60_000, slot + 86_399_999):
        assert latest(NIGHTLY, now_ms) == slot
    assert latest(NIGHTLY, slot - 1) == slot - 86_400_000
    # Summer time of whatever country is no matter.
    assert latest(NIGHTLY, _ms(2026, 3, 29, 3, 31)) == _ms(2026, 3, 29, 3, 30)
    assert latest("0 0 29 2 *", _ms(2026, 1, 1)) == _ms(2024, 2, 29)


def test_given_tenants_then_each_has_its_jobs_and_calibration_is_once() -> None:
    slots = SCHEDULE.latest(_ms(2026, 11, 22, 5, 0))
    assert slots == [
        Slot("verify", "school-7", _ms(2026, 11, 22, 3, 30)),
        Slot("verify", "school-8", _ms(2026, 11, 22, 3, 30)),
        Slot("calibrate", "school-7", _ms(2026, 11, 22, 4, 0)),
    ]
    assert len({slot.job.key.job_id for slot in slots}) == 3


def test_given_settings_when_read_then_expressions_are_checked(tmp_path: Path) -> None:
    assert load_settings(tmp_path).schedules == {}
    settings = load_settings(tmp_path, schedule_verify=NIGHTLY, schedule_tenants="a, b")
    assert (settings.schedules, settings.schedule_tenants) == ({"verify": NIGHTLY}, ("a", "b"))
    with pytest.raises(SettingsError, match="no expression of cron"):
        load_settings(tmp_path, schedule_calibrate="daily")


class _Clock:
    """Redis's, as it is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ms = _ms(2026, 11, 21, 3, 0)

        async def read(_: Any) -> int:
            return self.now_ms

        monkeypatch.setattr(module, "redis_now_ms", read)


def _scheduler(world: World, schedule: Schedule = SCHEDULE) -> Scheduler:
    return Scheduler(schedule=schedule, records=world.records, client=world.redis, period_s=0.001)


async def test_given_workers_and_a_due_or_missed_slot_then_it_is_asked_for_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(monkeypatch)
    first, other = _scheduler(world), _scheduler(world)
    # What was before anybody looked is not made up for.
    assert await first.look() == await other.look() == []
    clock.now_ms = _ms(2026, 11, 21, 3, 30)
    asked = await asyncio.gather(first.look(), other.look())
    assert {slot.tenant_id for slots in asked for slot in slots} == {"school-7", "school-8"}
    assert await world.redis.xlen(JOBS) == 2
    # Three nights without a worker: one job of each, and that the latest.
    clock.now_ms = _ms(2026, 11, 24, 3, 45)
    late = await _scheduler(world).look()
    assert [slot.at_ms for slot in late if slot.kind == "verify"] == [_ms(2026, 11, 24, 3, 30)] * 2
    # Sunday's calibration is too long ago by now, and is left to the next.
    assert not [slot for slot in late if slot.kind == "calibrate"]
    assert await world.redis.xlen(JOBS) == 4
    assert await first.look() == []
    # Another expression begins with its own next slot.
    moved = replace(SCHEDULE, expressions={"verify": "40 3 * * *"})
    assert await _scheduler(world, moved).look() == []


async def test_given_a_worker_that_ends_before_its_note_then_it_is_one_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(monkeypatch)
    scheduler = _scheduler(world)
    await scheduler.look()
    before: Any = await world.redis.hgetall("{practice.jobs.v1}:schedule")
    clock.now_ms = _ms(2026, 11, 21, 3, 31)
    await scheduler.look()
    await world.redis.hset("{practice.jobs.v1}:schedule", mapping=before)
    assert len(await scheduler.look()) == 2
    assert await world.redis.xlen(JOBS) == 2


async def test_given_a_tenant_with_too_many_jobs_then_its_slot_is_left_and_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(monkeypatch)
    monkeypatch.setattr("workers.operations.jobs.records.PER_TENANT", 0)
    scheduler = _scheduler(world)
    await scheduler.look()
    clock.now_ms = _ms(2026, 11, 21, 3, 31)
    with capture_logs() as logs:
        assert await scheduler.look() == []
    assert [line["event"] for line in logs] == ["schedule_refused"] * 2


async def test_given_a_schedule_when_run_then_it_looks_again_whatever_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    enough = asyncio.Event()
    scheduler = _scheduler(world)
    from workers.common.errors import RedisUnavailable

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 6:
            enough.set()
        if looks < 3:
            raise ValueError("secret")
        if looks < 5:
            raise RedisUnavailable("gone")

    monkeypatch.setattr(scheduler, "look", look)
    with capture_logs() as logs:
        task = asyncio.create_task(scheduler.run())
        async with asyncio.timeout(30):
            await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [line["event"] for line in logs] == ["schedule_failed"]
    assert "secret" not in str(logs)
    # Nothing to ask for: it ends.
    await _scheduler(world, replace(SCHEDULE, expressions={})).run()


def _judged(world: World, schedule: Schedule | None = None) -> None:
    given = world.runner._admission
    world.runner._admission = JobAdmission(
        authenticator=given.authenticator,
        roles=given.roles,
        tenant_claim=given.tenant_claim,
        max_event_bytes=given.max_event_bytes,
        max_token_bytes=given.max_token_bytes,
        max_queue_age_s=given.max_queue_age_s,
        schedule=schedule,
    )


MINUTELY = Schedule({"verify": "* * * * *"}, ("school-7",), "tenant_id", 3_600)


class _Refusing:
    """An authenticator that nobody passes."""

    def authenticate(self, *_: Any) -> Any:
        raise AssertionError


async def test_given_a_due_slot_when_taken_then_its_request_needs_no_token(
    world: World,
) -> None:
    world.runner = runner_of(world.redis, world.ledger, world.graph, _Refusing())
    _judged(world, MINUTELY)
    scheduler = Scheduler(schedule=MINUTELY, records=JobRecords(world.redis), client=world.redis)
    await scheduler.look()
    await world.redis.hset("{practice.jobs.v1}:schedule", "* * * * * verify school-7", "0")
    (slot,) = await scheduler.look()
    await world.runner.submit(await world.delivered())
    job = await world.records.find(slot.job.key)
    assert job is not None
    assert (job.status, job.requested_by) == (JobStatus.SUCCEEDED, "schedule")
    assert await world.rejected() == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.job_id", uuid_of("mine")),
        ("data.kind", "rebuild"),
        ("data.parameters", {"student_id": "s"}),
        ("data.claims.tenant_id", "school-8"),
        ("time", "2026-01-01T00:00:00Z"),
        ("time", "9999-12-31T23:59:59Z"),
        ("time", None),
        ("source", "/elsewhere"),
    ],
)
async def test_given_a_job_other_than_its_slot_when_scheduled_then_it_is_refused(
    world: World, path: str, value: Any
) -> None:
    _judged(world, MINUTELY)
    (slot,) = MINUTELY.latest(int(datetime.now(UTC).timestamp() * 1000))
    event = json.loads(MINUTELY.event(slot))
    await world.ask(changed(event, path, value))
    await world.runner.submit(await world.delivered())
    (rejected,) = await world.rejected()
    assert rejected["code"] == "unauthenticated"
    assert await world.records.find(slot.job.key) is None
    assert await world.records.find(JobKey("school-7", uuid_of("mine"))) is None


async def test_given_a_worker_without_schedule_when_one_is_taken_then_it_refuses(
    world: World,
) -> None:
    (slot,) = MINUTELY.latest(int(datetime.now(UTC).timestamp() * 1000))
    await world.ask(MINUTELY.event(slot))
    await world.runner.submit(await world.delivered())
    (rejected,) = await world.rejected()
    assert rejected["code"] == "unauthenticated"
    assert TRUSTED.audience == "authenticated"
