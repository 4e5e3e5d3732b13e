"""The log of all learners and the stages of calibration runs, of a ledger in memory."""

import time

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
from workers.ledger.memory.tables import MemoryTables


class MemoryCalibration(MemoryTables, CalibrationLedger):
    """Reads logs and keeps stages as the SQL functions do."""

    @override
    async def logs(
        self,
        after: LearnerKey | None = None,
        until_us: int | None = None,
        *,
        learners: int = LEARNERS,
        responses: int = RESPONSES,
    ) -> LogPage:
        page = LogPage([], [])
        begun = 0
        for key in sorted(key for key in self._accounts if after is None or key > after)[:learners]:
            account = self._accounts[key]
            begun += len(account.log)
            if page.learners and begun > responses:
                break
            log = sorted(account.effective(until_us), key=lambda response: response.position)
            page.answers.extend(
                LoggedAnswer(
                    learner=len(page.learners),
                    item_id=response.item_id,
                    concept_ids=response.concept_ids,
                    scale=response.scale,
                    score=response.score,
                    answered_at_us=response.answered_at_us,
                )
                for response in log
            )
            page.learners.append(key)
        return page

    @override
    async def stages(self, run: str) -> dict[str, str]:
        return {name: document for (of, name), (_, document) in self._stages.items() if of == run}

    @override
    async def stages_named(self, name: str) -> list[Stage]:
        stages = [
            (kept_at, run, document)
            for (run, stage), (kept_at, document) in self._stages.items()
            if stage == name
        ]
        return [Stage(run, name, document) for _, run, document in sorted(stages, reverse=True)]

    @override
    async def keep_stage(self, stage: Stage) -> None:
        self._stages[stage.run, stage.name] = (time.monotonic(), stage.document)

    @override
    async def forget_stages(self, run: str) -> int:
        return self._drop({run})

    @override
    async def forget_idle_stages(self, idle_s: float) -> int:
        since = time.monotonic() - idle_s
        busy = {run for (run, _), (kept_at, _) in self._stages.items() if kept_at >= since}
        return self._drop({run for run, _ in self._stages} - busy)

    def _drop(self, runs: set[str]) -> int:
        gone = [(run, name) for run, name in self._stages if run in runs]
        for stage in gone:
            del self._stages[stage]
        return len(gone)
