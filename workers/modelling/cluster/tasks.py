"""The tasks of a calibration on a cluster, as its workers run them.

A task is a function of this module with plain arguments. It holds no secret: a worker opens the
ledger by its own settings. Every result is a function of the arguments and of the log at a time, so
a task whose worker was lost runs again elsewhere and gives the same.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import scipy
from distributed import get_worker

from workers.common.errors import CalibrationFailed
from workers.common.retrying import Retrying
from workers.common.tasks import end
from workers.common.version import package_version
from workers.estimation.documents import parameters_of
from workers.estimation.learner import LearnerKey
from workers.ledger.calibration import CalibrationLedger
from workers.modelling.calibration.answer_files import mapped, writing
from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.facts import Facts
from workers.modelling.calibration.steps import Step
from workers.modelling.calibration.tallies import Tallies
from workers.modelling.calibration_run.processes import run_in_process
from workers.modelling.calibration_run.reading import read_answers
from workers.modelling.calibration_run.workspace import Workspace, span_name
from workers.modelling.judging.predicted import Predicted

OpenLedger = Callable[[AsyncExitStack], Awaitable[CalibrationLedger]]
"""Opens a ledger by the settings of its process; a function that a worker can import."""

_LOOK_S: Final = 0.5
"""Time between looks at whether a task is still wanted, seconds."""
_LAYING_OUT: Final = threading.Lock()


@dataclass(frozen=True)
class Versions:
    """Versions on which the last bits of a result depend."""

    engine: str
    numpy: str
    scipy: str

    @classmethod
    def here(cls) -> "Versions":
        """Return those of this process."""
        return cls(package_version(), np.__version__, scipy.__version__)


@dataclass(frozen=True)
class Partition:
    """Learners whose keys lie next to each other.

    Args:
        after: the learner before the first one; None: from the first.
        last: the last learner.
        until_us: leave out later answers, microseconds since 1970 by the ledger's clock.
    """

    after: LearnerKey | None
    last: LearnerKey
    until_us: int


def read_partition(open_ledger: OpenLedger, partition: Partition, versions: Versions) -> Answers:
    """Read the answers of a partition.

    Raises:
        CalibrationFailed: the worker has other versions.
    """
    _check(versions)
    return asyncio.run(_read(open_ledger, partition))


async def _read(open_ledger: OpenLedger, partition: Partition) -> Answers:
    async def nothing(_: int) -> None:
        """Progress is reported by partition."""

    async with AsyncExitStack() as stack:
        ledger = await open_ledger(stack)
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="mastery-partition-")))
        with writing(directory) as files:
            await read_answers(
                ledger,
                Retrying(),
                partition.until_us,
                files.append,
                nothing,
                after=partition.after,
                last=partition.last,
            )
        answers = mapped(directory)
        columns: dict[str, Any] = {
            field.name: np.array(getattr(answers, field.name))
            for field in fields(answers)
            if isinstance(getattr(answers, field.name), np.ndarray)
        }
        return replace(answers, **columns)


def collect_facts(run: str, parts: Sequence[Answers]) -> Facts:
    """Collect the figures about all answers."""
    return _workspace(run, parts).facts()


def fit_step(
    run: str, parts: Sequence[Answers], model: str, step: Step, needed: Mapping[str, str]
) -> str:
    """Run a step of a fit in a process of its own, see `Work.fit`."""
    workspace = _workspace(run, parts)
    for name, document in needed.items():
        workspace.put(name, document)
    workspace.choose(model)
    _run(workspace, step.name)
    return workspace.taken(step.name)


def tally(run: str, parts: Sequence[Answers], scale: int) -> Tallies:
    """Count answers and scores of a scale, see `Work.tallies`."""
    return _workspace(run, parts).tallies(scale)


def predict(
    run: str, parts: Sequence[Answers], documents: tuple[Any, Any], span: tuple[int, int]
) -> Predicted:
    """Predict held-out learners in a process of its own, see `Work.predict`.

    Args:
        run: name of the run's workspace.
        parts: all answers.
        documents: documents of the new and the present parameters.
        span: the first learner, and the one after the last.
    """
    workspace = _workspace(run, parts)
    new, present = map(parameters_of, documents)
    workspace.compare(new, present)
    name = span_name(span)
    _run(workspace, name)
    return workspace.predicted(name)


def forget(run: str) -> None:
    """Remove the workspace of a run from a worker."""
    rmtree(_directory(run), ignore_errors=True)


def _check(versions: Versions) -> None:
    here = Versions.here()
    if here != versions:
        raise CalibrationFailed(
            f"a worker of the cluster has {here}, but this command has {versions}, and results "
            "would differ: install the same versions on both"
        )


def _directory(run: str) -> Path:
    return Path(get_worker().local_directory) / f"mastery-calibration-{run}"


def _workspace(run: str, parts: Sequence[Answers]) -> Workspace:
    """Return the worker's workspace of a run, with all answers."""
    directory = _directory(run)
    with _LAYING_OUT:
        workspace = Workspace(directory)
        if workspace.complete:
            return workspace
        rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        with workspace.writing() as files:
            for part in parts:
                files.append(part)
        workspace.finish()
        return workspace


def _run(workspace: Workspace, name: str) -> None:
    """Run a step, and end it when nobody wants its task any more."""
    worker = get_worker()
    task = worker.get_current_task()

    def wanted() -> bool:
        state = worker.state.tasks.get(task)
        return state is not None and state.state != "cancelled"

    asyncio.run(_run_while(workspace, name, wanted))


async def _run_while(workspace: Workspace, name: str, wanted: Callable[[], bool]) -> None:
    step = asyncio.create_task(run_in_process(workspace, name))
    try:
        while not step.done():
            await asyncio.wait({step}, timeout=_LOOK_S)
            if not step.done() and not wanted():
                raise CalibrationFailed(f"the step {name!r} is not wanted any more")
        step.result()
    finally:
        await end([step])
