"""What calibration asks of a ledger in memory: as the SQL functions answer it."""

import time

from workers.estimation.learner import LearnerKey
from workers.ledger.calibration import LEARNERS, RESPONSES, LoggedAnswer, LogPage, Stage
from workers.ledger.memory.repair import MemoryRepair


class MemoryCalibration(MemoryRepair):
    """The part of `RepairLedger` that is `CalibrationLedger`."""

    def __init__(self) -> None:
        super().__init__()
        self._stages: dict[tuple[str, str], tuple[float, str]] = {}

    async def logs(
        self,
        after: LearnerKey | None = None,
        until_us: int | None = None,
        *,
        learners: int = LEARNERS,
        responses: int = RESPONSES,
    ) -> LogPage:
        """See `CalibrationLedger.logs`."""
        page = LogPage([], [])
        begun = 0
        for key in sorted(key for key in self._accounts if after is None or key > after)[:learners]:
            account = self._accounts[key]
            begun += len(account.log)
            if page.learners and begun > responses:
                break
            for one in sorted(account.effective(until_us), key=lambda one: one.position):
                page.answers.append(
                    LoggedAnswer(
                        len(page.learners),
                        one.item_id,
                        one.concept_ids,
                        one.scale,
                        one.score,
                        one.answered_at_us,
                    )
                )
            page.learners.append(key)
        return page

    async def stages(self, run: str) -> dict[str, str]:
        """See `CalibrationLedger.stages`."""
        return {name: kept for (of, name), (_, kept) in self._stages.items() if of == run}

    async def stages_named(self, name: str) -> list[Stage]:
        """See `CalibrationLedger.stages_named`."""
        found = [(at, run, kept) for (run, of), (at, kept) in self._stages.items() if of == name]
        return [Stage(run, name, kept) for _, run, kept in sorted(found, reverse=True)]

    async def keep_stage(self, stage: Stage) -> None:
        """See `CalibrationLedger.keep_stage`."""
        self._stages[stage.run, stage.name] = (time.monotonic(), stage.document)

    async def forget_stages(self, run: str) -> int:
        """See `CalibrationLedger.forget_stages`."""
        return self._drop({run})

    async def forget_idle_stages(self, idle_s: float) -> int:
        """See `CalibrationLedger.forget_idle_stages`."""
        since = time.monotonic() - idle_s
        busy = {run for (run, _), (at, _) in self._stages.items() if at >= since}
        return self._drop({run for run, _ in self._stages} - busy)

    def _drop(self, runs: set[str]) -> int:
        gone = [key for key in self._stages if key[0] in runs]
        for key in gone:
            del self._stages[key]
        return len(gone)
