"""Calibrating on real servers: as a job whose worker is killed, and by the command."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from contracts.mastery import MasteryChanged
from contracts.streams import JOBS, MASTERY
from tests.support.factories import claims, uuid_of
from tests.support.ledger_steps import record
from tests.support.simulated_learners import simulated
from tests.support.whole_run import MASTERY_COMMAND, Setting, drain
from tests.unit.modelling.calibration_run.test_calibrator import practised
from workers.cli.main import app
from workers.estimation.documents import parameters_of
from workers.estimation.learner import LearnerKey
from workers.ledger.parameter_versions import ParametersSource
from workers.ledger.sql.direct import DirectLedger
from workers.operations.jobs.kinds.calibrate import run_of
from workers.operations.jobs.record import JobKey, JobStatus
from workers.operations.jobs.records import JobRecords
from workers.operations.repair.verifying import verify

_WITHIN_S = 240
_JOB = JobKey("school-7", uuid_of("calibration"))


async def test_given_a_killed_calibration_then_another_continues_from_its_stages(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    environment = setting.environment(
        RECLAIM_AFTER_MS="500", LOG_LEVEL="INFO", LOG_FORMAT="json", JWT_MODE="trust"
    )
    event = {
        "specversion": "1.0",
        "id": uuid_of("request"),
        "source": "/test",
        "type": "practice.job.requested.v1",
        "data": {
            "job_id": _JOB.job_id,
            "kind": "calibrate",
            "parameters": {"activate": "always"},
            "claims": claims("operator", _JOB.tenant_id, role="service_role", exp=4_102_444_800),
        },
    }
    async with _opened(database_url) as ledger, Redis.from_url(redis_url) as client:
        await practised(ledger, 260)
        await client.xadd(JOBS, {"event": json.dumps(event)})
        arguments = ["worker", "--role", "jobs"]
        dying = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.dying_calibration", *arguments, env=environment
        )
        async with asyncio.timeout(_WITHIN_S):
            assert await dying.wait() == -signal.SIGKILL
        kept = await ledger.stages(run_of(_JOB))
        assert set(kept) == {"begun", "ability 0"}
        assert json.loads(kept["begun"])["by"] == "job"
        # Answers that came since are no part of what was begun.
        await record(ledger, LearnerKey("school-1", "late"), simulated(1, 9)[0])

        log = tmp_path / "log"
        with log.open("wb") as output:
            worker = subprocess.Popen(  # noqa: ASYNC220  # it is waited for below
                [MASTERY_COMMAND, *arguments], env=environment, stdout=output, stderr=output
            )
            try:
                job = await _ended(JobRecords(client))
            finally:
                worker.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(worker.wait, _WITHIN_S) == 0
        assert job["status"] == JobStatus.SUCCEEDED, (job, log.read_text())
        assert '"steps": 1, "of": 10' in log.read_text()
        assert job["result"]["learners"] == 260
        assert (job["result"]["version"], job["result"]["active"]) == (2, True)
        versions = await ledger.versions()
        assert [version.version for version in versions] == [1, 2]
        assert versions[1].diagnostics["run"] == run_of(_JOB)
        assert await ledger.active_version() == 2
        assert await ledger.stages(run_of(_JOB)) == {}
        # Each learner is replayed under it and each concept told of, by that worker or by this one.
        await asyncio.to_thread(drain, setting, roles=["engine"], JWT_MODE="trust")
        assert await ledger.outdated_count() == 0
        entries: Any = await client.xrange(MASTERY)
        told = [MasteryChanged.model_validate_json(fields[b"event"]).data for _, fields in entries]
        assert {(change.cause, change.parameters_version) for change in told} == {("parameters", 2)}
        newest = {
            (change.tenant_id, change.student_id, change.concept_id): (
                change.version,
                change.mastery,
            )
            for change in sorted(told, key=lambda change: change.version)
        }
        assert len({key[:2] for key in newest}) == 261
        assert newest == await _stored(database_url)
        async for page in verify(ledger, ParametersSource(ledger, 0.95)):
            assert page.differences == []


@asynccontextmanager
async def _opened(dsn: str) -> AsyncIterator[DirectLedger]:
    ledger = DirectLedger(dsn)
    try:
        yield ledger
    finally:
        await ledger.close()


async def _stored(dsn: str) -> dict[tuple[str, str, str], tuple[int, float]]:
    """Version and mastery of all concepts of all learners."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("select * from public.concept_mastery")
    finally:
        await connection.close()
    return {
        (row["tenant_id"], row["student_id"], row["concept_id"]): (row["version"], row["mastery"])
        for row in rows
    }


async def _ended(records: JobRecords) -> dict[str, Any]:
    async with asyncio.timeout(_WITHIN_S):
        while True:
            record_ = await records.find(_JOB)
            if record_ is not None and record_.status.finished:
                return record_.to_jsonable()
            await asyncio.sleep(0.05)


def test_given_a_log_when_calibrated_then_a_better_version_becomes_active(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def filled() -> None:
        async with _opened(database_url) as ledger:
            await practised(ledger, 150)

    asyncio.run(filled())
    monkeypatch.setenv("DATABASE_URL", database_url)

    def run(*arguments: str) -> Any:
        done = CliRunner().invoke(app, ["calibrate", "--model", "bkt", *arguments])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    document = json.loads(run("--json", "--note", "first"))
    assert document["version"] == 2
    assert document["compared_with"] == 1
    held_out = document["diagnostics"]["held_out"]
    assert document["active"] == held_out["better"] is True
    assert held_out["new"]["log_loss"] < held_out["present"]["log_loss"]
    assert document["diagnostics"]["decision"]["activate"]
    # The same once more is no better than itself.
    again = run("--dry-run")
    assert "dry run: nothing stored" in again
    assert "not to be activated: the log loss of" in again
    assert "it is not lower with 95 % confidence" in again
    assert "present: version 2" in again
    assert "Validity of mastery" in again
    assert "nan" not in again
    shown = CliRunner().invoke(app, ["parameters", "show", "2"])
    reason = document["diagnostics"]["decision"]["reason"]
    assert f"decision     to be activated: {reason} (compared with version 1)\n" in shown.stdout

    async def kept() -> Any:
        async with _opened(database_url) as ledger:
            return await ledger.version(2), await ledger.active_version()

    stored, active = asyncio.run(kept())
    assert (active, stored.note, stored.model) == (2, "first", "bkt")
    assert len(parameters_of(stored.document).concepts) == 2


def test_given_a_command_that_is_stopped_then_it_says_how_to_go_on(
    database_url: str, redis_url: str
) -> None:
    async def filled() -> None:
        async with _opened(database_url) as ledger:
            await practised(ledger)

    asyncio.run(filled())
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    process = subprocess.Popen(
        [MASTERY_COMMAND, "calibrate", "--model", "bkt"],
        env=setting.environment(LOG_LEVEL="INFO"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    async def begun() -> None:
        async with _opened(database_url) as ledger, asyncio.timeout(_WITHIN_S):
            while not await ledger.stages_named("begun"):
                await asyncio.sleep(0.02)

    asyncio.run(begun())
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=_WITHIN_S)
    assert process.returncode == 130
    assert b"resumes the run" in said

    async def kept() -> int:
        async with _opened(database_url) as ledger:
            return len(await ledger.stages_named("begun"))

    assert asyncio.run(kept()) == 1
    once_more = subprocess.run(
        [MASTERY_COMMAND, "calibrate", "--model", "bkt", "--dry-run"],
        env=setting.environment(LOG_LEVEL="INFO"),
        capture_output=True,
        timeout=_WITHIN_S,
        check=True,
    )
    assert re.search(
        rb"resuming the run of \d{4}-\d\d-\d\dT.*--fresh starts over", once_more.stderr
    )
    assert asyncio.run(kept()) == 0
