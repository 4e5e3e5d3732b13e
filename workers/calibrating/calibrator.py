"""From the log of all learners to a new version of the parameters, active if it is better.

What is done is kept in the ledger step by step, so that a run that was stopped, killed or left goes
on from there, on any machine: the log as it was when the run began is read again, which is quick,
and what was fitted to the same answers is taken as it is.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol
from uuid import uuid4

import orjson
import structlog

from workers.calibrating.processes import Hands, cores, in_a_process
from workers.calibrating.progress import Progress, Told
from workers.calibrating.reading import read_answers
from workers.calibrating.request import Calibrated, Request
from workers.calibrating.run import Run
from workers.calibrating.workspace import Workspace
from workers.calibration.answers import Answers
from workers.calibration.comparing import Comparison, compare
from workers.calibration.diagnostics import diagnostics
from workers.calibration.steps import scales_to_fit
from workers.errors import CalibrationFailed
from workers.estimation.documents import parameters_document
from workers.estimation.parameters import Parameters
from workers.ledger.calibration import CalibrationLedger, Stage
from workers.ledger.parameters import ParametersLedger
from workers.patience import Patience
from workers.versions import readable

_log = structlog.get_logger(__name__)

KEPT_S: Final = 7 * 86_400
"""For so long a run that nobody goes on with can be gone on with, seconds."""

_BEGUN: Final = "begun"


class Ledger(ParametersLedger, CalibrationLedger, Protocol):
    """What it asks of the system of record."""

    async def count(self) -> int:
        """How many learners there are."""
        ...

    async def clock_us(self) -> int:
        """What time it is, microseconds since 1970."""
        ...


class Calibrator:
    """Calibrates; safe while workers run, and to be begun again at any time.

    Args:
        ledger: the system of record. The logs of all tenants are read: parameters belong to the
            deployment.
        patience: waits for it where it is away.
        hands: do its steps; None: a process for each, as many as there are cores.
        directory: where to work; None: where temporary files go. It takes some 50 bytes an answer.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        patience: Patience,
        hands: Hands | None = None,
        directory: Path | None = None,
    ) -> None:
        self._ledger = ledger
        self._patience = patience
        self._ask = patience.until_answered
        self._hands = hands or Hands(cores(), in_a_process)
        self._directory = directory

    async def latest_run(self, model: str) -> str | None:
        """The newest run of a model that was begun and has not ended."""
        for stage in await self._ask(lambda: self._ledger.stages_named(_BEGUN)):
            if _begun({_BEGUN: stage.document}, model):
                return stage.run
        return None

    async def calibrate(
        self, request: Request, told: Told, *, run_id: str | None = None
    ) -> Calibrated:
        """Calibrate, or go on with a run.

        Args:
            request: what is asked for.
            told: how far it is.
            run_id: UUID of the run to go on with, or to begin; None: a new one.

        Raises:
            CalibrationFailed: there is nothing to fit, or a process failed.
        """
        run_id = run_id or str(uuid4())
        progress = Progress(told)
        await self._ask(lambda: self._ledger.forget_idle_stages(KEPT_S))
        known = await self._ask(lambda: self._ledger.stages(run_id))
        begun = _begun(known, request.model)
        until_us = begun["until_us"] if begun else await self._ask(self._ledger.clock_us)
        answers = await self._read(until_us, progress)
        digest = await asyncio.to_thread(answers.digest)
        if begun.get("digest") != digest:
            # Other answers, or some of them were erased since: nothing that was kept is theirs.
            known = {}
            await self._begin(run_id, request.model, until_us, digest)
        with _working_directory(self._directory) as directory:
            workspace = Workspace(Path(directory))
            await asyncio.to_thread(workspace.lay_out, request.model, answers)
            run = Run(
                run_id,
                ledger=self._ledger,
                patience=self._patience,
                workspace=workspace,
                answers=answers,
                hands=self._hands,
                progress=progress,
            )
            found = await run.fit(request.model, known)
            present = await self._present()
            predicted = await run.predict(found.parameters, present)
        comparison = compare(predicted)
        document = {
            "run": run_id,
            "until_us": until_us,
            "model": request.model,
            "compared_with": present.version,
            "held_out": comparison.document(),
            **await asyncio.to_thread(diagnostics, answers, found, predicted),
        }
        version = None
        active = False
        if not request.dry_run:
            version = await self._store(run_id, request, found.parameters, document)
            active = await self._activate(version, request, comparison)
        await self._ask(lambda: self._ledger.forget_stages(run_id))
        await progress.ended()
        _log.info(
            "calibrated",
            model=request.model,
            version=version,
            active=active,
            learners=answers.learners,
            responses=answers.score.size,
            gain=comparison.gain,
            warnings=len(found.warnings),
        )
        return Calibrated(
            run_id,
            version,
            active,
            present.version,
            answers.learners,
            answers.score.size,
            comparison,
            document,
            found.parameters,
        )

    async def _read(self, until_us: int, progress: Progress) -> Answers:
        total = await self._ask(self._ledger.count)

        async def told(learners: int) -> None:
            await progress.read(min(1.0, learners / max(1, total)))

        answers = await read_answers(self._ledger, self._patience, until_us, told)
        if not scales_to_fit(answers):
            raise CalibrationFailed(
                f"there is nothing to calibrate by: {answers.learners} learners have answered, and "
                "none of them is one that may be fitted to; let more of them practise first"
            )
        return answers

    async def _begin(self, run_id: str, model: str, until_us: int, digest: str) -> None:
        await self._ask(lambda: self._ledger.forget_stages(run_id))
        begun = {"model": model, "until_us": until_us, "digest": digest}
        stage = Stage(run_id, _BEGUN, orjson.dumps(begun).decode())
        await self._ask(lambda: self._ledger.keep_stage(stage))

    async def _present(self) -> Parameters:
        """The active parameters; the threshold is of no matter for what they predict."""
        version = await self._ask(self._ledger.active_version)
        stored = await self._ask(lambda: self._ledger.version(version))
        return readable(stored, Parameters().mastery_threshold)

    async def _store(
        self, run_id: str, request: Request, parameters: Parameters, found: Mapping[str, Any]
    ) -> int:
        for one in await self._ask(self._ledger.versions):
            # A run that ended between storing it and forgetting its stages has one already.
            if one.diagnostics.get("run") == run_id:
                return one.version
        document = parameters_document(parameters)
        return await self._ask(
            lambda: self._ledger.store(request.model, document, found, request.note)
        )

    async def _activate(self, version: int, request: Request, comparison: Comparison) -> bool:
        """Activate a version by the rule that was asked for; whether it is."""
        if request.activate == "always":
            reason = "calibrated, and to be activated whatever it predicts"
        elif request.activate == "if-better" and comparison.better:
            reason = (
                f"it predicts {comparison.learners:,} held-out learners better: log loss lower by "
                f"{comparison.gain:.4f} ± {comparison.standard_error:.4f}"
            )
        else:
            return False
        await self._ask(lambda: self._ledger.activate(version, reason))
        return True


def _working_directory(inside: Path | None) -> "TemporaryDirectory[str]":
    # A process that is being ended may still write into it.
    return TemporaryDirectory(prefix="calibration-", dir=inside, ignore_cleanup_errors=True)


def _begun(known: Mapping[str, str], model: str) -> dict[str, Any]:
    """How a run was begun; empty if it was not, or with another model."""
    begun: dict[str, Any] = orjson.loads(known.get(_BEGUN, "{}"))
    return begun if begun.get("model") == model else {}
