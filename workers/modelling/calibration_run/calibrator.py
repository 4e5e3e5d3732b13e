"""Calibrate a new version of the parameters and activate it if it is better.

Finished steps are kept in the ledger. A run that was stopped or killed resumes there, on any
machine: it reads the log again as it was at the start of the run, which is quick, and reuses the
fits to the same answers.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, Final, Literal, NamedTuple, Protocol
from uuid import uuid4

import orjson
import structlog

from workers.common.errors import CalibrationFailed, ParametersOutdated
from workers.common.retrying import Retrying
from workers.common.times import iso
from workers.common.version import package_version
from workers.estimation.documents import parameters_document
from workers.estimation.parameters import Parameters
from workers.ledger.calibration import Stage
from workers.ledger.parameter_versions import readable
from workers.ledger.parameters import (
    BUILT_IN_PARAMETERS,
    Activation,
    ParametersLedger,
    StoredParameters,
)
from workers.modelling.calibration.sufficiency import shortage
from workers.modelling.calibration_run.processes import ProcessPool, available_cores, run_in_process
from workers.modelling.calibration_run.progress import Progress, ProgressCallback
from workers.modelling.calibration_run.request import Calibrated, Request
from workers.modelling.calibration_run.step_runner import StepRunner
from workers.modelling.calibration_run.work import LogLedger, OpenWork, ProcessWork, Work
from workers.modelling.calibration_run.workspace import Workspace
from workers.modelling.judging.comparing import Comparison, compare
from workers.modelling.judging.deciding import Decision, judge
from workers.modelling.judging.diagnostics import diagnostics
from workers.modelling.judging.reach import lowest_ceiling

_log = structlog.get_logger(__name__)

KEPT_S: Final = 7 * 86_400
"""Time for which an abandoned run can be resumed, seconds."""

StartedBy = Literal["command", "job"]
"""Starter of a run."""

_BEGUN: Final = "begun"
_PREFIX: Final = "mastery-calibration-"


class OpenRun(NamedTuple):
    """A run that can be resumed."""

    run: str
    """UUID of the run."""
    at: str
    """Time up to which answers belong to the run, RFC 3339 in UTC."""


class CalibratedLedger(ParametersLedger, LogLedger, Protocol):
    """The ledger as far as a calibration needs it."""

    async def clock_us(self) -> int:
        """Read the clock, microseconds since 1970."""
        ...


class Calibrator:
    """Calibrates while workers run; can be repeated at any time.

    Args:
        ledger: the ledger. The logs of all tenants are read, since parameters belong to the
            deployment.
        retrying: retries calls of the ledger while it is away.
        pool: runs the steps; None: one process per step, as many at a time as there are cores.
        directory: parent of the working directory; None: the directory of temporary files. It takes
            about 90 bytes per answer.
        open_work: begins the work elsewhere than in processes of this machine, such as on a
            cluster, in place of `pool` and `directory`.
    """

    def __init__(
        self,
        *,
        ledger: CalibratedLedger,
        retrying: Retrying,
        pool: ProcessPool | None = None,
        directory: Path | None = None,
        open_work: OpenWork | None = None,
    ) -> None:
        self._ledger = ledger
        self._retrying = retrying
        self._ask = retrying.call
        self._pool = pool or ProcessPool(available_cores(), run_in_process)
        self._directory = directory
        self._open_work = open_work or self._in_processes

    async def latest_run(self, model: str) -> OpenRun | None:
        """Find the newest unfinished run of a model that a command started."""
        for stage in await self._ask(lambda: self._ledger.stages_named(_BEGUN)):
            begun = _begun({_BEGUN: stage.document}, model)
            if begun.get("by") == "command":
                return OpenRun(stage.run, iso(begun["until_us"]))
        return None

    async def calibrate(
        self,
        request: Request,
        on_progress: ProgressCallback,
        *,
        run_id: str | None = None,
        by: StartedBy = "command",
    ) -> Calibrated:
        """Calibrate, or resume a run.

        A run that has stored its version is not fitted again; only the remaining work is done.

        Args:
            request: model, rule of activation and note.
            on_progress: called with the progress.
            run_id: UUID of the run to resume or to start; None: a new one.
            by: starter of the run, who alone may resume it.

        Raises:
            CalibrationFailed: there are too few answers, or a process failed.
        """
        run_id = run_id or str(uuid4())
        progress = Progress(on_progress)
        await asyncio.to_thread(_forget_directories, self._directory)
        await self._ask(lambda: self._ledger.forget_idle_stages(KEPT_S))
        version = None if request.dry_run else await self._ask(lambda: self._version_of(run_id))
        if version is None:
            parameters, document = await self._fit(run_id, request.model, by, progress)
            if not request.dry_run:
                version = await self._store(run_id, request, parameters, document)
        active = False
        if version is not None:
            # An earlier process may have stored it, after a comparison with another version.
            stored = await self._ask(lambda: self._ledger.version(version))
            parameters, document = await _readable(stored), stored.diagnostics
            active = await self._activate(version, request, document)
        comparison = Comparison.of(document["held_out"])
        await self._ask(lambda: self._ledger.forget_stages(run_id))
        await progress.ended()
        _log.info(
            "calibrated",
            model=request.model,
            version=version,
            active=active,
            learners=document["learners"],
            responses=document["responses"],
            gain=comparison.gain,
            decision=document["decision"]["reason"],
            warnings=len(document["warnings"]),
        )
        return Calibrated(
            run_id,
            version,
            active,
            document["compared_with"],
            document["learners"],
            document["responses"],
            comparison,
            Decision.of(document["decision"]),
            document,
            parameters,
        )

    async def _fit(
        self, run_id: str, model: str, by: StartedBy, progress: Progress
    ) -> tuple[Parameters, Mapping[str, Any]]:
        """Fit new parameters and collect their diagnostics."""
        known = await self._ask(lambda: self._ledger.stages(run_id))
        begun = _begun(known, model)
        until_us = begun["until_us"] if begun else await self._ask(self._ledger.clock_us)
        async with self._open_work() as work:
            facts = await work.read(until_us, progress.read)
            lacking = await asyncio.to_thread(shortage, facts)
            if lacking is not None:
                raise CalibrationFailed(lacking)
            record = {
                "model": model,
                "by": by,
                "until_us": until_us,
                "engine": package_version(),
                "digest": facts.digest,
            }
            if begun != record:
                # The answers or the engine have changed, so the kept stages no longer apply.
                known = {}
                await self._begin(run_id, record)
            run = StepRunner(
                run_id,
                ledger=self._ledger,
                retrying=self._retrying,
                work=work,
                facts=facts,
                progress=progress,
            )
            merged = await run.fit(model, known)
            latest = await self._ask(self._ledger.activation)
            while True:
                activation = latest
                present = await self._present(activation.version)
                predicted = await run.predict(merged.parameters, present)
                latest = await self._ask(self._ledger.activation)
                if latest.version == activation.version:
                    break
                _log.info("calibration_compared_anew", active=latest.version)
        comparison = await asyncio.to_thread(compare, predicted)
        decision = await asyncio.to_thread(judge, comparison, merged.parameters, present)
        return merged.parameters, {
            "run": run_id,
            "until_us": until_us,
            "model": model,
            "compared_with": present.version,
            "active_version": latest.version,
            "active_since": latest.activated_at,
            "decision": decision.document(),
            "held_out": comparison.document(),
            "lowest_ceiling": {
                "new": lowest_ceiling(merged.parameters),
                "present": lowest_ceiling(present),
            },
            **await asyncio.to_thread(diagnostics, facts, merged, predicted),
        }

    @asynccontextmanager
    async def _in_processes(self) -> AsyncIterator[Work]:
        with _working_directory(self._directory) as directory:
            yield ProcessWork(self._ledger, self._retrying, Workspace(Path(directory)), self._pool)

    async def _begin(self, run_id: str, begun: Mapping[str, Any]) -> None:
        await self._ask(lambda: self._ledger.forget_stages(run_id))
        stage = Stage(run_id, _BEGUN, orjson.dumps(begun).decode())
        await self._ask(lambda: self._ledger.keep_stage(stage))

    async def _present(self, active: int) -> Parameters:
        """Read the parameters to compare with.

        Returns:
            The active parameters. If they were fitted under older formulas, no state can be
            computed under them, and the built-in ones are returned.
        """
        try:
            return await _readable(await self._ask(lambda: self._ledger.version(active)))
        except ParametersOutdated as error:
            _log.warning("calibration_compared_with_built_in", active=active, reason=str(error))
            return await _readable(BUILT_IN_PARAMETERS)

    async def _version_of(self, run_id: str) -> int | None:
        """Find the version that a run stored."""
        for stored in await self._ledger.versions():
            if stored.diagnostics.get("run") == run_id:
                return stored.version
        return None

    async def _store(
        self,
        run_id: str,
        request: Request,
        parameters: Parameters,
        diagnostics_document: Mapping[str, Any],
    ) -> int:
        document = await asyncio.to_thread(parameters_document, parameters)

        async def once() -> int:
            # Look it up first: a call whose answer was lost is repeated.
            return await self._version_of(run_id) or await self._ledger.store(
                request.model, document, diagnostics_document, request.note
            )

        return await self._ask(once)

    async def _activate(self, version: int, request: Request, document: Mapping[str, Any]) -> bool:
        """Activate a version by the requested rule.

        Returns:
            True if the version is active.
        """
        decision = Decision.of(document["decision"])
        if request.activate == "always":
            reason = f"calibrated with --activate always; by the rule if-better {decision.sentence}"
        elif request.activate == "if-better" and decision.activate:
            reason = decision.reason
        else:
            return await self._ask(self._ledger.active_version) == version
        # Leave an activation that happened since the comparison.
        expected = Activation(document["active_version"], document["active_since"], None)
        active = await self._ask(lambda: self._ledger.activate(version, reason, expected=expected))
        if not active:
            _log.warning(
                "calibration_not_activated", version=version, reason="another version was activated"
            )
        return active


async def _readable(stored: StoredParameters) -> Parameters:
    """Read parameters to predict with; predictions do not depend on the threshold."""
    return await asyncio.to_thread(readable, stored, Parameters().mastery_threshold)


def _forget_directories(inside: Path | None) -> None:
    """Remove directories of calibrations whose processes were all killed at once."""
    since = time.time() - KEPT_S
    for directory in Path(inside or gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if directory.stat().st_mtime < since:
                shutil.rmtree(directory, ignore_errors=True)


def _working_directory(inside: Path | None) -> "TemporaryDirectory[str]":
    # A process that is ending may still write into it.
    return TemporaryDirectory(prefix=_PREFIX, dir=inside, ignore_cleanup_errors=True)


def _begun(known: Mapping[str, str], model: str) -> dict[str, Any]:
    """Return how a run was started; empty if it was not, or with another model."""
    begun: dict[str, Any] = orjson.loads(known.get(_BEGUN, "{}"))
    return begun if begun.get("model") == model else {}
