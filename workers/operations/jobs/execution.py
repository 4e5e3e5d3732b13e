"""Carry out one job, for as long as it is this worker's."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final
from uuid import uuid4

import structlog

from workers.common.errors import Refused
from workers.common.retrying import Retrying
from workers.common.tasks import end
from workers.operations.jobs.admission import AdmittedJob
from workers.operations.jobs.handlers import JobHandlers
from workers.operations.jobs.progress import RunProgress, TakenOver
from workers.operations.jobs.record import JobKey, JobRecord, JobStatus
from workers.operations.jobs.records import JobRecords, Run
from workers.streams.poison import described

_log = structlog.get_logger(__name__)

_LOOK_S: Final = 1.0
"""Time between two checks that the job is still its own; a cancelled job ends within it."""


class JobExecution:
    """Begins jobs and sees them to their end.

    Args:
        records: the records of jobs.
        handlers: carries out jobs.
        retrying: waits for servers that are away.
        max_attempts: how often a job is begun whose worker ends each time.
    """

    def __init__(
        self, records: JobRecords, handlers: JobHandlers, retrying: Retrying, max_attempts: int
    ) -> None:
        self._records = records
        self._handlers = handlers
        self._retrying = retrying
        self._max_attempts = max_attempts

    async def execute(self, job: AdmittedJob, record: JobRecord) -> bool:
        """Carry out a job unless it has ended.

        Args:
            job: the job as it was asked for.
            record: its record.

        Returns:
            False if another worker has taken the job over, or Redis lost it; its entry then stays
            pending. True otherwise: the job has ended.
        """
        run = await self._retrying.call(lambda: self._records.begin(record.key, str(uuid4())))
        if run is None:
            return True
        with structlog.contextvars.bound_contextvars(
            job_id=record.key.job_id,
            tenant_id=record.key.tenant_id,
            correlation_id=job.correlation_id,
        ):
            try:
                await self._run(run, job, record)
            except TakenOver:
                if not await self._cancelled(record.key):
                    _log.warning("job_taken_over")
                    return False
                _log.info("job_cancelled", kind=record.kind)
        return True

    async def _run(self, run: Run, job: AdmittedJob, record: JobRecord) -> None:
        progress = RunProgress(self._records, self._retrying, run, record)
        if run.attempts > self._max_attempts:
            times = run.attempts - 1
            await progress.fail(f"its worker ended {times} times while it ran: look at the logs")
            return
        await progress.start()
        try:
            result = await self._while_own(
                run,
                self._handlers.run(job.request.kind, run.key, job.parameters, progress.report),
            )
        except asyncio.CancelledError:
            await progress.put_back()
            raise
        except TakenOver:
            raise
        except Refused as refusal:
            await progress.fail(refusal.reason)
        except Exception as error:  # noqa: BLE001  # whatever it is, the job failed and says so
            await progress.fail(described(error))
        else:
            await progress.succeed(result)

    async def _while_own(
        self, run: Run, work: Coroutine[Any, Any, dict[str, Any]]
    ) -> dict[str, Any]:
        """Do the work.

        Raises:
            TakenOver: the job is no longer this run's; the work was given up.
        """
        working = asyncio.create_task(work)
        losing = asyncio.create_task(self._until_lost(run))
        try:
            await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            losing.result()
            raise TakenOver
        finally:
            await end([working, losing])

    async def _until_lost(self, run: Run) -> None:
        while await self._retrying.call(lambda: self._records.owns(run)):  # noqa: ASYNC110  # Redis notifies nobody
            await asyncio.sleep(_LOOK_S)

    async def _cancelled(self, key: JobKey) -> bool:
        record = await self._retrying.call(lambda: self._records.find(key))
        return record is not None and record.status is JobStatus.CANCELLED
