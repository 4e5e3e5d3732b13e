"""The log of all learners and the stages of calibration runs over their SQL functions."""

from typing_extensions import override

from workers.estimation.learner import LearnerKey
from workers.ledger.calibration import (
    LEARNERS,
    RESPONSES,
    CalibrationLedger,
    LoggedAnswer,
    LogPage,
    Stage,
)
from workers.ledger.sql.answers import as_promised
from workers.ledger.sql.documents import Document, read_keys
from workers.ledger.sql.functions import SqlFunctions


class SqlCalibration(SqlFunctions, CalibrationLedger):
    """Calls `mastery_logs` and the functions of stages."""

    @override
    async def logs(
        self,
        after: LearnerKey | None = None,
        until_us: int | None = None,
        *,
        learners: int = LEARNERS,
        responses: int = RESPONSES,
    ) -> LogPage:
        request: Document = {"limit": learners, "responses": responses}
        if until_us is not None:
            request["until_us"] = until_us
        if after is not None:
            request |= {"after_tenant": after.tenant_id, "after_student": after.student_id}
        answer = await self._call("mastery_logs", request)
        with as_promised("mastery_logs"):
            return LogPage(
                read_keys(answer["learners"]),
                [
                    LoggedAnswer(n - 1, item_id, concept_ids, scale, float(score), at_us)
                    for n, item_id, concept_ids, scale, score, at_us in answer["log"]
                ],
            )

    @override
    async def stages(self, run: str) -> dict[str, str]:
        return {stage.name: stage.document for stage in await self._stages({"run": run})}

    @override
    async def stages_named(self, name: str) -> list[Stage]:
        return await self._stages({"stage": name})

    async def _stages(self, request: Document) -> list[Stage]:
        answer = await self._call("mastery_stages", request)
        with as_promised("mastery_stages"):
            return [Stage(run, name, document) for run, name, document in answer]

    @override
    async def keep_stage(self, stage: Stage) -> None:
        request = {"run": stage.run, "stage": stage.name, "document": stage.document}
        await self._call("mastery_keep_stage", request)

    @override
    async def forget_stages(self, run: str) -> int:
        return await self._forget({"run": run})

    @override
    async def forget_idle_stages(self, idle_s: float) -> int:
        return await self._forget({"idle_s": idle_s})

    async def _forget(self, request: Document) -> int:
        answer = await self._call("mastery_forget_stages", request)
        with as_promised("mastery_forget_stages"):
            return int(answer[0])
