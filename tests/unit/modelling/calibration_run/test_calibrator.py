"""A calibration from the log to its version: gone on with, given up, refused."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.factories import uuid_of
from tests.support.ledger_steps import record
from tests.support.simulated_learners import simulated
from workers.cli.main import app
from workers.common.errors import CalibrationFailed
from workers.common.retrying import NoRetry
from workers.estimation.learner import LearnerKey
from workers.ledger.calibration import Stage
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.protocol import Ledger
from workers.modelling.calibration.fitting import fit
from workers.modelling.calibration.held_out import is_held_out
from workers.modelling.calibration_run import calibrator as calibrator_module
from workers.modelling.calibration_run import step_runner as run_module
from workers.modelling.calibration_run.calibrator import KEPT_S, Calibrator, StartedBy
from workers.modelling.calibration_run.processes import ProcessPool, run_in_process
from workers.modelling.calibration_run.request import Request
from workers.modelling.calibration_run.workspace import Workspace
from workers.operations.jobs.record import JobKey

_WITHIN_S = 240
HERE = ProcessPool(2, lambda workspace, name: asyncio.to_thread(workspace.do, name))
"""Steps in this process, which begin at once."""
_JOB = JobKey("school-7", uuid_of("calibration"))


async def practised(ledger: Ledger, learners: int = 60) -> None:
    for number, log in enumerate(simulated(learners, 5, most=20)):
        await record(ledger, LearnerKey(f"school-{number % 2}", f"s{number}"), log)


async def said_nothing(step: int, total_steps: int) -> None:
    assert 0 <= step <= total_steps


@pytest.mark.usefixtures("few_parts")
async def test_given_a_stopped_run_when_resumed_then_nothing_is_done_twice() -> None:
    ledger = MemoryLedger()
    await practised(ledger, 40)
    calibrator = Calibrator(ledger=ledger, retrying=NoRetry(), pool=HERE)
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
    begun = await calibrator.latest_run("bkt-irt")
    assert begun is not None
    assert begun.at.endswith("Z")
    assert await calibrator.latest_run("bkt") is None
    run_id = begun.run
    kept = await ledger.stages(run_id)
    assert {"begun", "ability 0"} <= set(kept)

    steps: list[int] = []

    async def noted(step: int, total_steps: int) -> None:
        assert step <= total_steps
        steps.append(step)

    calibration = await calibrator.calibrate(Request(), noted, run_id=run_id)
    assert steps == sorted(steps)
    assert 200 in steps
    assert calibration.run == run_id
    assert await calibrator.latest_run("bkt-irt") is None
    # In one go it is the same, to the last bit.
    whole = await calibrator.calibrate(Request(dry_run=True), said_nothing)
    assert whole.parameters == replace(calibration.parameters, version=1)
    assert whole.comparison.new == calibration.comparison.new
    assert whole.version is None
    # As a run that ended before its stages were forgotten: no second version of it.
    versions = len(await ledger.versions())
    once_more = await calibrator.calibrate(Request(), said_nothing, run_id=run_id)
    assert once_more.version == calibration.version
    assert len(await ledger.versions()) == versions


async def test_given_stages_of_other_answers_when_resumed_then_they_are_dropped() -> None:
    ledger = MemoryLedger()
    await practised(ledger, 40)
    calibrator = Calibrator(ledger=ledger, retrying=NoRetry(), pool=HERE)
    request = Request("bkt", activate="never")
    kept: list[dict[str, str]] = []
    run_id = uuid_of("run")

    async def told(step: int, _: int) -> None:
        if step >= 100:
            kept.append(await ledger.stages(run_id))

    expected = await calibrator.calibrate(request, told, run_id=run_id)
    whole = max(kept, key=len)
    assert set(whole) == {"begun", "fit 0"}
    begun = {**whole, "fit 0": "{}"}
    for name, document in begun.items():
        await ledger.keep_stage(Stage(run_id, name, document))
    # A fit that nobody can read: fitted anew.
    calibration = await calibrator.calibrate(
        Request("bkt", dry_run=True), said_nothing, run_id=run_id
    )
    assert calibration.parameters == replace(expected.parameters, version=1)
    assert not expected.active

    # Somebody was erased meanwhile: nothing that was fitted to their answers is left.
    for name, document in whole.items():
        await ledger.keep_stage(Stage(run_id, name, document))
    keys = [LearnerKey(f"school-{n % 2}", f"s{n}") for n in range(40)]
    erased = next(n for n, key in enumerate(keys) if not is_held_out(key))
    await ledger.erase(keys[erased], 0, refuse=False)
    calibration = await calibrator.calibrate(
        Request("bkt", dry_run=True), said_nothing, run_id=run_id
    )
    assert calibration.learners == 39
    assert calibration.parameters != replace(expected.parameters, version=1)
    logs = [log for n, log in enumerate(simulated(40, 5, most=20)) if n != erased]
    assert set(fit("bkt", logs).parameters.concepts) == set(calibration.parameters.concepts)


async def test_given_stages_of_another_engine_or_a_job_then_no_command_resumes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = MemoryLedger()
    await practised(ledger, 40)
    done: list[str] = []

    async def noted(workspace: Workspace, name: str) -> None:
        await HERE.run(workspace, name)
        done.append(name)
        if name.startswith("held-out"):
            raise CalibrationFailed("given up")

    calibrator = Calibrator(ledger=ledger, retrying=NoRetry(), pool=ProcessPool(1, noted))
    run_id = uuid_of("run")

    async def given_up(by: StartedBy) -> None:
        with pytest.raises(CalibrationFailed, match="given up"):
            await calibrator.calibrate(Request("bkt"), said_nothing, run_id=run_id, by=by)

    await given_up("job")
    assert await calibrator.latest_run("bkt") is None
    await given_up("job")
    assert done.count("fit 0") == 1
    monkeypatch.setattr(calibrator_module, "package_version", lambda: "99.0.0")
    await given_up("job")
    assert done.count("fit 0") == 2
    await given_up("command")
    begun = await calibrator.latest_run("bkt")
    assert begun is not None
    assert begun.run == run_id


async def test_given_much_to_compute_then_none_of_it_is_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = MemoryLedger()
    await practised(ledger, 40)
    threads: dict[str, threading.Thread] = {}

    def watched(module: Any, name: str) -> None:
        work: Callable[..., Any] = getattr(module, name)

        def noted(*arguments: Any) -> Any:
            threads[name] = threading.current_thread()
            assert threads[name] is not threading.main_thread(), name
            return work(*arguments)

        monkeypatch.setattr(module, name, noted)

    for name in ("compare", "judge", "diagnostics", "parameters_document", "readable", "shortage"):
        watched(calibrator_module, name)
    for name in ("steps_of", "scales_to_fit", "unpacked_fit", "merged", "together"):
        watched(run_module, name)
    watched(Workspace, "compare")
    calibrator = Calibrator(ledger=ledger, retrying=NoRetry(), pool=HERE)
    await calibrator.calibrate(Request("bkt"), said_nothing)
    assert len(threads) == 11


async def test_given_week_old_remains_of_killed_runs_then_the_next_removes_them(
    tmp_path: Path,
) -> None:
    ledger = MemoryLedger()
    await practised(ledger, 40)
    old, new, other = (
        tmp_path / name for name in ("mastery-calibration-a", "mastery-calibration-b", "photos")
    )
    for directory in (old, new, other):
        directory.mkdir()
        (directory / "score.npy").write_text("answers")
    for directory in (old, other):
        then = time.time() - KEPT_S - 60
        os.utime(directory, (then, then))
    calibrator = Calibrator(ledger=ledger, retrying=NoRetry(), pool=HERE, directory=tmp_path)
    await calibrator.calibrate(Request("bkt"), said_nothing)
    assert [directory.exists() for directory in (old, new, other)] == [False, True, True]


async def test_given_no_learners_or_a_failing_process_then_it_says_so(
    tmp_path: Path,
) -> None:
    ledger = MemoryLedger()
    calibrator = Calibrator(ledger=ledger, retrying=NoRetry(), directory=tmp_path)
    with pytest.raises(CalibrationFailed, match="0 answers of 0 learners may be fitted to"):
        await calibrator.calibrate(Request(), said_nothing)
    await practised(ledger, 40)

    async def spoil(step: int, _: int) -> None:
        if step == 100:
            for names in tmp_path.glob("*/names.json"):  # noqa: ASYNC240  # of a few bytes
                names.write_text("{")

    with pytest.raises(CalibrationFailed, match="'fit 0' of a calibration ended with 1"):
        await calibrator.calibrate(Request("bkt"), spoil)
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240


async def test_given_five_answers_when_calibrated_then_nothing_is_stored() -> None:
    ledger = MemoryLedger()
    await record(ledger, LearnerKey("school-1", "s1"), simulated(1, 5, most=5)[0])
    calibrator = Calibrator(ledger=ledger, retrying=NoRetry(), pool=HERE)
    with pytest.raises(CalibrationFailed, match="300 answers of 10 learners are needed"):
        await calibrator.calibrate(Request("bkt"), said_nothing)
    assert [version.version for version in await ledger.versions()] == [1]


async def test_given_a_fit_that_gives_no_parameters_then_it_says_so() -> None:
    ledger = MemoryLedger()
    await practised(ledger, 40)

    async def spoiled(workspace: Workspace, name: str) -> None:
        workspace.put(name, '{"parameters": {"version": 0}}')

    calibrator = Calibrator(ledger=ledger, retrying=NoRetry(), pool=ProcessPool(1, spoiled))
    # Nothing that may be another tenant's: a job's problem is read by the one who asked.
    with pytest.raises(CalibrationFailed, match="the fit did not produce valid parameters") as why:
        await calibrator.calibrate(Request("bkt"), said_nothing)
    assert "default" not in str(why.value)


def test_given_a_wrong_request_when_made_then_it_names_field_and_remedy() -> None:
    with pytest.raises(ValueError, match="model is 'x': choose one of"):
        Request("x")
    for note in ("a\nb", "x" * 1_001, "\0"):
        with pytest.raises(ValueError, match="note must be one line"):
            Request(note=note)
    done = CliRunner().invoke(app, ["calibrate", "--model", "x"])
    assert done.exit_code == 2


async def test_given_a_step_whose_starter_ends_then_it_ends_too(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "score.npy").write_text("answers")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import time\nfrom workers.modelling.calibration_run import step_process as s\n"
        "s.Workspace.do = lambda *_: time.sleep(600)\n"
        f"s.main({str(workspace)!r}, 'x')",
        stdin=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(_WITHIN_S):
        assert await process.wait() == 1
    # Nobody else would remove the answers.
    assert not workspace.exists()


async def test_given_a_step_when_begun_then_ctrl_c_does_not_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = asyncio.create_subprocess_exec
    groups: list[int] = []

    async def noted(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await begin(*arguments, **options)
        groups.append(os.getpgid(process.pid))
        process.kill()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    with pytest.raises(CalibrationFailed):
        await run_in_process(Workspace(tmp_path / "none"), "fit 0")
    assert groups
    assert os.getpgid(0) not in groups
