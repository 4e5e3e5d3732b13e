"""Run steps side by side, each in a process of its own that ends when it is cancelled."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from workers.common.errors import CalibrationFailed
from workers.common.tasks import end
from workers.modelling.calibration.steps import Step
from workers.modelling.calibration_run.workspace import Workspace

ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Environment of a step. Products of matrices then end in the same bits on any number of cores, and
steps side by side do not compete for them."""
_SHOWN: Final = 500


def available_cores() -> int:
    """Return the number of processes that can run at the same time."""
    if sys.version_info >= (3, 13):
        # A container sees every core of its machine; PYTHON_CPU_COUNT says how many are its own.
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class ProcessPool:
    """Runs steps, a limited number at a time.

    Args:
        size: largest number of steps at the same time.
        run: runs a named step in a workspace; when cancelled, it returns after the step has ended.
    """

    size: int
    run: Callable[[Workspace, str], Awaitable[None]]


async def run_steps(
    steps: Sequence[Step],
    done: Iterable[str],
    size: int,
    run: Callable[[Step], Awaitable[None]],
) -> None:
    """Run steps, each as soon as the steps it needs are done.

    When cancelled, it returns after all steps have ended.

    Args:
        steps: the steps, in a possible order.
        done: names of steps whose documents exist already.
        size: largest number of steps at the same time.
        run: runs a step and keeps its result.

    Raises:
        CalibrationFailed: a process failed.
    """
    ready = {step.name: asyncio.Event() for step in steps}
    for name in done:
        ready[name].set()
    free = asyncio.Semaphore(size)

    async def see_through(step: Step) -> None:
        for needed in step.needs:
            await ready[needed].wait()
        async with free:
            await run(step)
        ready[step.name].set()

    tasks = [
        asyncio.create_task(see_through(step)) for step in steps if not ready[step.name].is_set()
    ]
    try:
        await asyncio.gather(*tasks)
    finally:
        await end(tasks)


async def run_in_process(workspace: Workspace, name: str) -> None:
    """Run a step in a process of its own.

    Raises:
        CalibrationFailed: the process failed.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers.modelling.calibration_run.step_process",
        str(workspace.directory),
        name,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        # Ctrl-C in a terminal reaches this process, which ends the step.
        start_new_session=True,
        env=os.environ | ONE_THREAD,
    )
    try:
        # Keep its input open: the step ends when its input does, that is when this process ends.
        said = await process.stderr.read() if process.stderr is not None else b""
        code = await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.stdin is not None:
            process.stdin.close()
    if code != 0:
        last = said.decode(errors="replace").strip().rpartition("\n")[2][:_SHOWN]
        raise CalibrationFailed(
            f"the step {name!r} of a calibration ended with {code} ({last or 'no output'}). "
            "Finished steps are kept: solve this problem and start again"
        )
