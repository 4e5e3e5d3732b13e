"""A calibration from the log to its version: gone on with, given up, refused."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.factories import uuid_of
from tests.integration.ledger.steps import record
from tests.unit.calibration.simulated import simulated
from workers.calibrating.calibrator import Calibrator
from workers.calibrating.processes import Hands
from workers.calibrating.request import Request
from workers.calibrating.workspace import Workspace
from workers.calibration.answers import is_held_out
from workers.calibration.fitting import fit
from workers.cli.main import app
from workers.errors import CalibrationFailed
from workers.estimation.learner import LearnerKey
from workers.jobs.record import JobKey
from workers.ledger.calibration import Stage
from workers.ledger.memory import MemoryLedger
from workers.ledger.repair import RepairLedger
from workers.patience import Impatience

_WITHIN_S = 240
HERE = Hands(2, lambda workspace, name: asyncio.to_thread(workspace.do, name))
"""Steps in this process, which begin at once."""
_JOB = JobKey("school-7", uuid_of("calibration"))


async def practised(ledger: RepairLedger, learners: int = 60) -> None:
    for number, log in enumerate(simulated(learners, 5, most=10)):
        await record(ledger, LearnerKey(f"school-{number % 2}", f"s{number}"), log)


async def said_nothing(step: int, total_steps: int) -> None:
    assert 0 <= step <= total_steps


async def test_given_a_run_that_was_stopped_when_gone_on_with_then_nothing_is_done_twice() -> None:
    ledger = MemoryLedger()
    await practised(ledger)
    calibrator = Calibrator(ledger=ledger, patience=Impatience(), hands=HERE)
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
    whole = await calibrator.calibrate(Request(dry_run=True), said_nothing)
    assert whole.parameters == found.parameters
    assert whole.comparison.new == found.comparison.new
    assert whole.version is None
    # As a run that ended before its stages were forgotten: no second version of it.
    versions = len(await ledger.versions())
    once_more = await calibrator.calibrate(Request(), said_nothing, run_id=run_id)
    assert once_more.version == found.version
    assert len(await ledger.versions()) == versions


async def test_given_stages_of_other_answers_when_gone_on_with_then_they_are_dropped() -> None:
    ledger = MemoryLedger()
    await practised(ledger, 40)
    calibrator = Calibrator(ledger=ledger, patience=Impatience(), hands=HERE)
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
    found = await calibrator.calibrate(Request("bkt", dry_run=True), said_nothing, run_id=run_id)
    assert found.parameters == expected.parameters
    assert not expected.active

    # Somebody was erased meanwhile: nothing that was fitted to their answers is left.
    for name, document in whole.items():
        await ledger.keep_stage(Stage(run_id, name, document))
    keys = [LearnerKey(f"school-{n % 2}", f"s{n}") for n in range(40)]
    erased = next(n for n, key in enumerate(keys) if not is_held_out(key))
    await ledger.erase(keys[erased], 0, refuse=False)
    found = await calibrator.calibrate(Request("bkt", dry_run=True), said_nothing, run_id=run_id)
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
        await calibrator.calibrate(Request(), said_nothing)
    await practised(ledger, 20)

    async def spoil(step: int, _: int) -> None:
        if step == 100:
            for names in tmp_path.glob("*/names.json"):  # noqa: ASYNC240  # of a few bytes
                names.write_text("{")

    with pytest.raises(CalibrationFailed, match="'fit 0' of a calibration ended with 1"):
        await calibrator.calibrate(Request("bkt"), spoil)
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240


async def test_given_a_fit_that_gives_no_parameters_then_it_says_so() -> None:
    ledger = MemoryLedger()
    await practised(ledger, 10)

    async def spoiled(workspace: Workspace, name: str) -> None:
        workspace.put(name, '{"parameters": {"version": 0}}')

    calibrator = Calibrator(ledger=ledger, patience=Impatience(), hands=Hands(1, spoiled))
    with pytest.raises(CalibrationFailed, match="scale 'default' gives parameters that are none"):
        await calibrator.calibrate(Request("bkt"), said_nothing)


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
