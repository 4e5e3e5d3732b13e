"""`mastery jobs list|cancel` on a real Redis, as an operator runs them."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from tests.support.factories import uuid_of
from workers.cli.main import app
from workers.common.errors import MasteryError, SettingsError
from workers.operations.jobs.record import JobKey, JobRequest, JobStatus
from workers.operations.jobs.records import JobRecords

RUNNING, WAITING = (uuid_of("job", number) for number in (1, 2))

Run = Callable[..., Result]


@pytest.fixture
def run(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)

    async def fill() -> None:
        async with Redis.from_url(redis_url) as client:
            records = JobRecords(client)
            await records.open(JobRequest(JobKey("default", RUNNING), "verify", {}, "ann"), b"{}")
            await records.begin(JobKey("default", RUNNING), "a run")
            await asyncio.sleep(0.002)
            await records.open(JobRequest(JobKey("default", WAITING), "rebuild", {}, "bob"), b"{}")

    asyncio.run(fill())
    return lambda *arguments: CliRunner().invoke(app, ["jobs", *arguments])


def _json(done: Result) -> Any:
    return json.loads(done.stdout)


def test_given_jobs_when_listed_then_the_newest_comes_first(run: Run) -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        [WAITING, "rebuild", "queued"],
        [RUNNING, "verify", "running"],
    ]
    limited = run("list", "--limit", "1", "--json")
    assert [job["job_id"] for job in _json(limited)] == [WAITING]
    assert limited.stderr == "there are older jobs: give a higher --limit\n"
    foreign = run("list", "--tenant", "school-7")
    assert (foreign.stdout, foreign.stderr) == ("", "tenant 'school-7' has no jobs\n")


def test_given_a_job_when_cancelled_then_it_ends_once(run: Run) -> None:
    assert run("cancel", RUNNING.upper()).stdout == f"job {RUNNING.upper()} is cancelled\n"
    assert _json(run("cancel", RUNNING, "--json"))["status"] == JobStatus.CANCELLED
    assert [job["status"] for job in _json(run("list", "--json"))] == ["queued", "cancelled"]


def test_given_a_job_of_another_tenant_when_cancelled_then_it_is_refused(run: Run) -> None:
    done = run("cancel", RUNNING, "--tenant", "school-7")
    assert isinstance(done.exception, MasteryError)
    assert "tenant 'school-7' has no job" in str(done.exception)
    assert [job["status"] for job in _json(run("list", "--json"))] == ["queued", "running"]


def test_given_no_redis_when_jobs_are_listed_then_the_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDIS_URL", raising=False)
    done = CliRunner().invoke(app, ["jobs", "list"])
    assert isinstance(done.exception, SettingsError)
    assert "REDIS_URL is unset" in str(done.exception)
