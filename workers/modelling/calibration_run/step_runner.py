"""Run the fits and predictions of a calibration, reusing kept stages."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from workers.common.errors import CalibrationFailed
from workers.common.retrying import Retrying
from workers.estimation.parameters import Parameters
from workers.ledger.calibration import CalibrationLedger, Stage
from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.held_out import chunks
from workers.modelling.calibration.merging import Merged, merged
from workers.modelling.calibration.packing import unpacked, unpacked_fit
from workers.modelling.calibration.steps import Step, fit_name, is_fit, scales_to_fit, steps_of
from workers.modelling.calibration_run.processes import ProcessPool, run_steps
from workers.modelling.calibration_run.progress import Progress
from workers.modelling.calibration_run.workspace import Workspace, span_name
from workers.modelling.judging.predicted import Predicted, together

_log = structlog.get_logger(__name__)

_ANSWERS_OF_A_SPAN: Final = 20_000


class StepRunner:
    """Runs the steps of a calibration in a workspace.

    Args:
        run_id: UUID of the run.
        ledger: keeps the stages.
        retrying: retries calls of the ledger.
        workspace: workspace laid out for the same answers.
        answers: all answers.
        pool: runs the steps.
        progress: receives the progress.
    """

    def __init__(
        self,
        run_id: str,
        *,
        ledger: CalibrationLedger,
        retrying: Retrying,
        workspace: Workspace,
        answers: Answers,
        pool: ProcessPool,
        progress: Progress,
    ) -> None:
        self._id = run_id
        self._ledger = ledger
        self._retrying = retrying
        self._workspace = workspace
        self._answers = answers
        self._pool = pool
        self._progress = progress

    async def fit(self, model: str, known: Mapping[str, str]) -> Merged:
        """Fit all scales.

        Args:
            model: one of `workers.modelling.calibration.fitting.MODELS`.
            known: documents of kept stages by name.

        Raises:
            CalibrationFailed: a process failed, or a fit did not produce valid parameters.
        """
        workspace = self._workspace
        steps = await asyncio.to_thread(steps_of, model, self._answers)
        done = await asyncio.to_thread(self._laid_out, steps, known)
        if done:
            _log.info("calibration_resumed", steps=len(done), of=len(steps))
        await self._progress.fits(len(steps), len(done))

        async def ended(step: Step) -> None:
            stage = Stage(self._id, step.name, workspace.taken(step.name))
            await self._retrying.call(lambda: self._ledger.keep_stage(stage))
            await self._progress.fitted()

        await run_steps(workspace, steps, done, self._pool, ended)
        return await asyncio.to_thread(self._merged)

    def _laid_out(self, steps: Sequence[Step], known: Mapping[str, str]) -> list[str]:
        done = [step.name for step in steps if step.name in known and _usable(step, known)]
        for name in done:
            self._workspace.put(name, known[name])
        return done

    def _merged(self) -> Merged:
        fits = {scale: self._fitted(scale) for scale in scales_to_fit(self._answers)}
        return merged(self._answers, fits)

    def _fitted(self, scale: int) -> Fitted:
        try:
            return unpacked_fit(self._workspace.taken(fit_name(scale)))
        except ValueError as error:
            # Only the log names the scale, which may belong to another tenant than the job.
            _log.error(
                "calibration_fit_useless", scale=self._answers.scales[scale], reason=str(error)
            )
            raise CalibrationFailed(
                "the fit did not produce valid parameters (NaN or out of range). Try another "
                "model, and report the log line calibration_fit_useless"
            ) from error

    async def predict(self, new: Parameters, present: Parameters) -> Predicted:
        """Predict the held-out learners, at least one, under both versions.

        Args:
            new: the fitted parameters.
            present: the parameters to compare with.

        Raises:
            CalibrationFailed: a process failed.
        """
        spans = await asyncio.to_thread(lambda: list(chunks(self._answers, _ANSWERS_OF_A_SPAN)))
        steps = [Step(span_name(span)) for span in spans]
        self._progress.spans(len(steps))

        async def ended(_: Step) -> None:
            await self._progress.predicted()

        await asyncio.to_thread(self._workspace.compare, new, present)
        await run_steps(self._workspace, steps, (), self._pool, ended)
        return await asyncio.to_thread(self._together, steps)

    def _together(self, steps: Sequence[Step]) -> Predicted:
        return together([self._workspace.predicted(step.name) for step in steps])


def _usable(step: Step, known: Mapping[str, str]) -> bool:
    """Return True if a kept stage is from this version of the engine."""
    try:
        (unpacked_fit if is_fit(step) else unpacked)(known[step.name])
    except ValueError as error:
        _log.warning("calibration_stage_dropped", step=step.name, reason=str(error))
        return False
    return True
