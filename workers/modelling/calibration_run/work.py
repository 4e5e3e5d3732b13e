"""The heavy work of one calibration, in processes of this machine or on a cluster."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from typing_extensions import override

from workers.common.retrying import Retrying
from workers.estimation.parameters import Parameters
from workers.ledger.audit import AuditLedger
from workers.ledger.calibration import CalibrationLedger
from workers.modelling.calibration.facts import Facts
from workers.modelling.calibration.steps import Step
from workers.modelling.calibration.tallies import Tallies
from workers.modelling.calibration_run.processes import ProcessPool
from workers.modelling.calibration_run.reading import read_answers
from workers.modelling.calibration_run.workspace import Workspace, span_name
from workers.modelling.judging.predicted import Predicted

Share = Callable[[float], Awaitable[None]]
"""Called with the share of the log that is read, in [0, 1]."""


class LogLedger(CalibrationLedger, AuditLedger, Protocol):
    """The ledger as far as reading all answers needs it."""

    async def count(self) -> int:
        """Count the learners."""
        ...


class Work(Protocol):
    """Reads all answers, then fits and predicts; every method may run many times at once."""

    @property
    def size(self) -> int:
        """Largest number of steps at the same time."""
        ...

    async def read(self, until_us: int, on_share: Share) -> Facts:
        """Read the answers of all tenants that counted at a time, before anything else.

        Args:
            until_us: the time by the ledger's clock, microseconds since 1970.
            on_share: called with the share of the log that is read.
        """
        ...

    async def fit(self, model: str, step: Step, needed: Mapping[str, str]) -> str:
        """Run a step of a fit and return its document.

        Args:
            model: one of `workers.modelling.calibration.fitting.MODELS`.
            step: the step.
            needed: documents of the steps that it needs, by name.

        Raises:
            CalibrationFailed: a process failed.
        """
        ...

    async def tallies(self, scale: int) -> Tallies:
        """Count answers and scores of a scale, without held-out learners."""
        ...

    async def compare(self, new: Parameters, present: Parameters) -> None:
        """Set the versions that `predict` compares."""
        ...

    async def predict(self, span: tuple[int, int]) -> Predicted:
        """Predict the held-out learners of a span under both versions.

        Raises:
            CalibrationFailed: a process failed.
        """
        ...


OpenWork = Callable[[], AbstractAsyncContextManager[Work]]
"""Begins the work of a calibration; leaving it ends what still runs."""


class ProcessWork(Work):
    """Works in processes of this machine.

    Args:
        ledger: the ledger.
        retrying: retries its calls.
        workspace: an empty workspace.
        pool: runs the steps.
    """

    def __init__(
        self, ledger: LogLedger, retrying: Retrying, workspace: Workspace, pool: ProcessPool
    ) -> None:
        self._ledger = ledger
        self._retrying = retrying
        self._workspace = workspace
        self._pool = pool

    @property
    @override
    def size(self) -> int:
        return self._pool.size

    @override
    async def read(self, until_us: int, on_share: Share) -> Facts:
        total = await self._retrying.call(self._ledger.count)

        async def report_progress(learners: int) -> None:
            await on_share(min(1.0, learners / max(1, total)))

        with self._workspace.writing() as files:
            await read_answers(
                self._ledger, self._retrying, until_us, files.append, report_progress
            )
        return await asyncio.to_thread(self._workspace.finish)

    @override
    async def fit(self, model: str, step: Step, needed: Mapping[str, str]) -> str:
        for name, document in needed.items():
            self._workspace.put(name, document)
        self._workspace.choose(model)
        await self._pool.run(self._workspace, step.name)
        return self._workspace.taken(step.name)

    @override
    async def tallies(self, scale: int) -> Tallies:
        return await asyncio.to_thread(self._workspace.tallies, scale)

    @override
    async def compare(self, new: Parameters, present: Parameters) -> None:
        await asyncio.to_thread(self._workspace.compare, new, present)

    @override
    async def predict(self, span: tuple[int, int]) -> Predicted:
        name = span_name(span)
        await self._pool.run(self._workspace, name)
        return self._workspace.predicted(name)
