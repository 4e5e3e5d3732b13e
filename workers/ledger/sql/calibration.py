"""`workers.ledger.calibration.CalibrationLedger` over SQL functions, whatever carries the call."""

from abc import ABC, abstractmethod
from typing import Any

from workers.estimation.learner import LearnerKey
from workers.ledger.calibration import LEARNERS, RESPONSES, LogPage, Stage, logs_request, read_logs
from workers.ledger.sql.answers import as_promised


class SqlCalibration(ABC):
    """The part of the ledger that calibration asks."""

    @abstractmethod
    async def _call(self, function: str, document: dict[str, Any]) -> Any:
        """Call a function with a document; raise `LedgerUnavailable` and its like."""

    async def logs(
        self,
        after: LearnerKey | None = None,
        until_us: int | None = None,
        *,
        learners: int = LEARNERS,
        responses: int = RESPONSES,
    ) -> LogPage:
        """See `CalibrationLedger.logs`."""
        request = logs_request(after, until_us, learners, responses)
        answer = await self._call("mastery_logs", request)
        with as_promised("mastery_logs"):
            return read_logs(answer)

    async def stages(self, run: str) -> dict[str, str]:
        """See `CalibrationLedger.stages`."""
        return {stage.name: stage.document for stage in await self._stages({"run": run})}

    async def stages_named(self, name: str) -> list[Stage]:
        """See `CalibrationLedger.stages_named`."""
        return await self._stages({"stage": name})

    async def _stages(self, request: dict[str, Any]) -> list[Stage]:
        answer = await self._call("mastery_stages", request)
        with as_promised("mastery_stages"):
            return [Stage(run, name, document) for run, name, document in answer]

    async def keep_stage(self, stage: Stage) -> None:
        """See `CalibrationLedger.keep_stage`."""
        run, name, document = stage
        await self._call("mastery_keep_stage", {"run": run, "stage": name, "document": document})

    async def forget_stages(self, run: str) -> int:
        """See `CalibrationLedger.forget_stages`."""
        return await self._forget({"run": run})

    async def forget_idle_stages(self, idle_s: float) -> int:
        """See `CalibrationLedger.forget_idle_stages`."""
        return await self._forget({"idle_s": idle_s})

    async def _forget(self, request: dict[str, Any]) -> int:
        answer = await self._call("mastery_forget_stages", request)
        with as_promised("mastery_forget_stages"):
            return int(answer[0])
