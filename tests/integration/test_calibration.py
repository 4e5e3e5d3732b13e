"""Calibrating on real servers: as a job whose worker is killed, and by the command."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from contracts.streams import JOBS
from tests.factories import claims, uuid_of
from tests.integration.ledger.steps import record
from tests.unit.calibration.simulated import simulated
from tests.whole_run import MASTERY_COMMAND, Setting
from workers.calibrating.calibrator import Calibrator
from workers.calibrating.request import Request
from workers.calibration.answers import is_held_out
from workers.calibration.fitting import fit
from workers.cli.main import app
from workers.errors import CalibrationFailed
from workers.estimation.documents import parameters_of
from workers.estimation.learner import LearnerKey
from workers.jobs.record import JobKey, JobStatus
from workers.jobs.records import JobRecords
from workers.jobs.work import run_of
from workers.ledger.calibration import Stage
from workers.ledger.direct import DirectLedger
from workers.ledger.memory import MemoryLedger
from workers.ledger.repair import RepairLedger
from workers.patience import Impatience

_WITHIN_S = 240
_JOB = JobKey("school-7", uuid_of("calibration"))


async def _practised(ledger: RepairLedger, learners: int = 60) -> None:
    for number, log in enumerate(simulated(learners, 5, most=10)):
        await record(ledger, LearnerKey(f"school-{number % 2}", f"s{number}"), log)


async def _said_nothing(step: int, total_steps: int) -> None:
    assert 0 <= step <= total_steps


async def test_given_a_calibration_whose_worker_is_killed_then_another_goes_on_from_its_stages(
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
        await _practised(ledger)
        await client.xadd(JOBS, {"event": json.dumps(event)})
        arguments = ["worker", "--role", "jobs"]
        dying = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.dying_calibration", *arguments, env=environment
        )
        async with asyncio.timeout(_WITHIN_S):
            assert await dying.wait() == -signal.SIGKILL
        kept = await ledger.stages(run_of(_JOB))
        assert set(kept) == {"begun", "ability 0"}
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
        assert '"steps": 1, "of": 4' in log.read_text()
        assert job["result"]["learners"] == 60
        assert (job["result"]["version"], job["result"]["active"]) == (2, True)
        versions = await ledger.versions()
        assert [one.version for one in versions] == [1, 2]
        assert versions[1].diagnostics["run"] == run_of(_JOB)
        assert await ledger.active_version() == 2
        assert await ledger.stages(run_of(_JOB)) == {}


@asynccontextmanager
async def _opened(dsn: str) -> AsyncIterator[DirectLedger]:
    ledger = DirectLedger(dsn)
    try:
        yield ledger
    finally:
        await ledger.close()


async def _ended(records: JobRecords) -> dict[str, Any]:
    async with asyncio.timeout(_WITHIN_S):
        while True:
            record_ = await records.find(_JOB)
            if record_ is not None and record_.status.finished:
                return record_.to_jsonable()
            await asyncio.sleep(0.05)


def test_given_a_log_when_the_command_calibrates_then_a_better_version_is_stored_and_active(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def filled() -> None:
        async with _opened(database_url) as ledger:
            await _practised(ledger, 150)

    asyncio.run(filled())
    monkeypatch.setenv("DATABASE_URL", database_url)

    def run(*arguments: str) -> Any:
        done = CliRunner().invoke(app, ["calibrate", "--model", "bkt", *arguments])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    dry = run("--dry-run")
    assert "dry run: nothing stored" in dry
    found = json.loads(run("--json", "--note", "first"))
    assert found["version"] == 2
    assert found["compared_with"] == 1
    held_out = found["diagnostics"]["held_out"]
    assert found["active"] == held_out["better"] is True
    assert held_out["new"]["log_loss"] < held_out["present"]["log_loss"]
    # The same once more is no better than itself.
    again = run()
    assert "version 3 is stored and not active" in again
    assert "present: version 2" in again

    async def kept() -> Any:
        async with _opened(database_url) as ledger:
            return await ledger.version(2), await ledger.active_version()

    stored, active = asyncio.run(kept())
    assert (active, stored.note, stored.model) == (2, "first", "bkt")
    assert len(parameters_of(stored.document).concepts) == 2


async def test_given_a_run_that_was_stopped_when_gone_on_with_then_nothing_is_done_twice() -> None:
    ledger = MemoryLedger()
    await _practised(ledger)
    calibrator = Calibrator(ledger=ledger, patience=Impatience(), processes=2)
    reached = asyncio.Event()

    async def told(step: int, total_steps: int) -> None:
        assert 0 <= step <= total_steps
        # Read, and ability fitted.
        if step >= 200:
            reached.set()

    task = asyncio.create_task(calibrator.calibrate(Request(), told))
    async with asyncio.timeout(_WITHIN_S):
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    run_id = await calibrator.latest_run("informed")
    assert run_id is not None
    assert await calibrator.latest_run("bkt") is None
    kept = await ledger.stages(run_id)
    assert {"begun", "ability 0"} <= set(kept)

    steps: list[int] = []

    async def noted(step: int, total_steps: int) -> None:
        assert step <= total_steps
        steps.append(step)

    found = await calibrator.calibrate(Request(), noted, run_id=run_id)
    assert steps == sorted(steps)
    assert 200 in steps
    assert found.run == run_id
    assert await calibrator.latest_run("informed") is None
    # In one go it is the same, to the last bit.
    whole = await calibrator.calibrate(Request(dry_run=True), _said_nothing)
    assert whole.parameters == found.parameters
    assert whole.comparison.new == found.comparison.new
    assert whole.version is None
    # As a run that ended before its stages were forgotten: no second version of it.
    versions = len(await ledger.versions())
    once_more = await calibrator.calibrate(Request(), _said_nothing, run_id=run_id)
    assert once_more.version == found.version
    assert len(await ledger.versions()) == versions


async def test_given_stages_of_other_answers_when_gone_on_with_then_they_are_dropped() -> None:
    ledger = MemoryLedger()
    await _practised(ledger, 40)
    calibrator = Calibrator(ledger=ledger, patience=Impatience(), processes=2)
    request = Request("bkt", activate="never")
    kept: list[dict[str, str]] = []
    run_id = uuid_of("run")

    async def told(step: int, _: int) -> None:
        if step >= 100:
            kept.append(await ledger.stages(run_id))

    expected = await calibrator.calibrate(request, told, run_id=run_id)
    begun = {"begun": kept[-1]["begun"], "fit 0": "{}"}
    for name, document in begun.items():
        await ledger.keep_stage(Stage(run_id, name, document))
    # A fit that nobody can read: fitted anew.
    found = await calibrator.calibrate(Request("bkt", dry_run=True), _said_nothing, run_id=run_id)
    assert found.parameters == expected.parameters
    assert not expected.active

    # Somebody was erased meanwhile: nothing that was fitted to their answers is left.
    for name, document in kept[-1].items():
        await ledger.keep_stage(Stage(run_id, name, document))
    keys = [LearnerKey(f"school-{n % 2}", f"s{n}") for n in range(40)]
    erased = next(n for n, key in enumerate(keys) if not is_held_out(key))
    await ledger.erase(keys[erased], 0, refuse=False)
    found = await calibrator.calibrate(Request("bkt", dry_run=True), _said_nothing, run_id=run_id)
    assert found.learners == 39
    assert found.parameters != expected.parameters
    logs = [log for n, log in enumerate(simulated(40, 5, most=10)) if n != erased]
    assert set(fit("bkt", logs).parameters.concepts) == set(found.parameters.concepts)


async def test_given_nobody_or_a_process_that_fails_when_calibrated_then_it_says_so(
    tmp_path: Path,
) -> None:
    ledger = MemoryLedger()
    calibrator = Calibrator(ledger=ledger, patience=Impatience(), directory=tmp_path)
    with pytest.raises(CalibrationFailed, match="nothing to calibrate by"):
        await calibrator.calibrate(Request(), _said_nothing)
    await _practised(ledger, 20)

    async def spoil(step: int, _: int) -> None:
        if step == 100:
            for names in tmp_path.glob("*/names.json"):  # noqa: ASYNC240  # of a few bytes
                names.write_text("{")

    with pytest.raises(CalibrationFailed, match="'fit 0' of a calibration ended with 1"):
        await calibrator.calibrate(Request("bkt"), spoil)
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240


def test_given_a_wrong_request_when_made_then_it_names_field_and_remedy() -> None:
    with pytest.raises(ValueError, match="model is 'x': choose one of"):
        Request("x")
    for note in ("a\nb", "x" * 1_001, "\0"):
        with pytest.raises(ValueError, match="note must be one line"):
            Request(note=note)
    done = CliRunner().invoke(app, ["calibrate", "--model", "x"])
    assert done.exit_code == 2


async def test_given_a_step_whose_starter_ends_then_it_ends_too(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import time\nfrom workers.calibrating import step_process as s\n"
        "s.Workspace.do = lambda *_: time.sleep(600)\n"
        f"s.main({str(tmp_path)!r}, 'x')",
        stdin=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(_WITHIN_S):
        assert await process.wait() == 1


def test_given_a_command_that_is_stopped_then_it_says_how_to_go_on(
    database_url: str, redis_url: str
) -> None:
    async def filled() -> None:
        async with _opened(database_url) as ledger:
            await _practised(ledger)

    asyncio.run(filled())
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    process = subprocess.Popen(
        [MASTERY_COMMAND, "calibrate"],
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
    assert b"goes on from there" in said

    done = CliRunner().invoke(
        app, ["calibrate", "--activate", "never"], env={"DATABASE_URL": database_url}
    )
    assert done.exit_code == 0
    assert "60 learners" in done.output
