"""Run the fits and predictions of a calibration, reusing kept stages."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from workers.common.errors import CalibrationFailed
from workers.common.retrying import Retrying
from workers.estimation.parameters import Parameters
from workers.ledger.calibration import CalibrationLedger, Stage
from workers.modelling.calibration.facts import Facts
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.merging import Merged, merged
from workers.modelling.calibration.packing import unpacked, unpacked_fit
from workers.modelling.calibration.steps import Step, fit_name, is_fit, scales_to_fit, steps_of
from workers.modelling.calibration.tallies import Tallies
from workers.modelling.calibration_run.processes import run_steps
from workers.modelling.calibration_run.progress import Progress
from workers.modelling.calibration_run.work import Work
from workers.modelling.calibration_run.workspace import span_name
from workers.modelling.judging.predicted import Predicted, together

_log = structlog.get_logger(__name__)


class StepRunner:
    """Runs the steps of a calibration.

    Args:
        run_id: UUID of the run.
        ledger: keeps the stages.
        retrying: retries calls of the ledger.
        work: has read all answers.
        facts: figures about all answers.
        progress: receives the progress.
    """

    def __init__(
        self,
        run_id: str,
        *,
        ledger: CalibrationLedger,
        retrying: Retrying,
        work: Work,
        facts: Facts,
        progress: Progress,
    ) -> None:
        self._id = run_id
        self._ledger = ledger
        self._retrying = retrying
        self._work = work
        self._facts = facts
        self._progress = progress

    async def fit(self, model: str, known: Mapping[str, str]) -> Merged:
        """Fit all scales.

        Args:
            model: one of `workers.modelling.calibration.fitting.MODELS`.
            known: documents of kept stages by name.

        Raises:
            CalibrationFailed: a process failed, or a fit did not produce valid parameters.
        """
        steps = await asyncio.to_thread(steps_of, model, self._facts)
        documents = await asyncio.to_thread(_usable_of, steps, known)
        if documents:
            _log.info("calibration_resumed", steps=len(documents), of=len(steps))
        await self._progress.fits(len(steps), len(documents))

        async def run(step: Step) -> None:
            needed = {name: documents[name] for name in step.needs}
            documents[step.name] = await self._work.fit(model, step, needed)
            stage = Stage(self._id, step.name, documents[step.name])
            await self._retrying.call(lambda: self._ledger.keep_stage(stage))
            await self._progress.fitted()

        await run_steps(steps, list(documents), self._work.size, run)
        scales = await asyncio.to_thread(scales_to_fit, self._facts)
        tallies = {scale: await self._work.tallies(scale) for scale in scales}
        return await asyncio.to_thread(self._merged, documents, tallies)

    def _merged(self, documents: Mapping[str, str], tallies: Mapping[int, Tallies]) -> Merged:
        fits = {scale: self._fitted(scale, documents[fit_name(scale)]) for scale in tallies}
        return merged(self._facts, fits, tallies)

    def _fitted(self, scale: int, document: str) -> Fitted:
        try:
            return unpacked_fit(document)
        except ValueError as error:
            # Only the log names the scale, which may belong to another tenant than the job.
            _log.error(
                "calibration_fit_useless", scale=self._facts.scales[scale], reason=str(error)
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
        spans = {span_name(span): span for span in self._facts.spans}
        self._progress.spans(len(spans))
        parts: dict[str, Predicted] = {}

        async def run(step: Step) -> None:
            parts[step.name] = await self._work.predict(spans[step.name])
            await self._progress.predicted()

        await self._work.compare(new, present)
        await run_steps([Step(name) for name in spans], (), self._work.size, run)
        return await asyncio.to_thread(together, [parts[name] for name in spans])


def _usable_of(steps: Sequence[Step], known: Mapping[str, str]) -> dict[str, str]:
    return {
        step.name: known[step.name] for step in steps if step.name in known and _usable(step, known)
    }


def _usable(step: Step, known: Mapping[str, str]) -> bool:
    """Return True if a kept stage is from this version of the engine."""
    try:
        (unpacked_fit if is_fit(step) else unpacked)(known[step.name])
    except ValueError as error:
        _log.warning("calibration_stage_dropped", step=step.name, reason=str(error))
        return False
    return True
