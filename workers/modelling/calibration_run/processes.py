"""Steps side by side, each in a process of its own, which is ended whenever it is given up."""

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

_SHOWN: Final = 500


def available_cores() -> int:
    """How many processes can run at the same time."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class ProcessPool:
    """Who does steps.

    Args:
        most: so many steps at the same time.
        do: does a step, named, in a workspace; given up, it has ended when it returns.
    """

    size: int
    run: Callable[[Workspace, str], Awaitable[None]]


async def run_steps(
    workspace: Workspace,
    steps: Sequence[Step],
    done: Iterable[str],
    pool: ProcessPool,
    ended: Callable[[Step], Awaitable[None]],
) -> None:
    """Do steps, as many at the same time as there may be; each as soon as what it needs is there.

    Given up, it has ended all of them when it returns.

    Args:
        workspace: laid out.
        steps: in an order in which they can be done.
        done: names of those whose documents are there already.
        pool: who does them.
        ended: told of each that was done.

    Raises:
        CalibrationFailed: a process failed.
    """
    ready = {step.name: asyncio.Event() for step in steps}
    for name in done:
        ready[name].set()
    free = asyncio.Semaphore(pool.size)

    async def see_through(step: Step) -> None:
        for needed in step.needs:
            await ready[needed].wait()
        async with free:
            await pool.run(workspace, step.name)
        await ended(step)
        ready[step.name].set()

    tasks = [
        asyncio.create_task(see_through(step)) for step in steps if not ready[step.name].is_set()
    ]
    try:
        await asyncio.gather(*tasks)
    finally:
        await end(tasks)


async def run_in_process(workspace: Workspace, name: str) -> None:
    """Do a step in a process of its own.

    Raises:
        CalibrationFailed: it failed.
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
        # Ctrl-C in a terminal is for us, who end it.
        start_new_session=True,
    )
    try:
        # Its input is left open: that it ends is how it learns that we did.
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
            f"the step {name!r} of a calibration ended with {code} ({last or 'no word'}); what was "
            "done before is kept: mend that, and begin again"
        )
