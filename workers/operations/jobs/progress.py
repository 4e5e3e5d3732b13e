"""Keep the record of a running job up to date."""

from dataclasses import replace

import structlog

from workers.common.retrying import Retrying
from workers.operations.jobs.record import JobRecord, JobStatus
from workers.operations.jobs.record_layout import now_iso
from workers.operations.jobs.records import JobRecords, Run

_log = structlog.get_logger(__name__)


class TakenOver(Exception):
    """The job is not this run's any more: another worker has it, it was cancelled, or lost."""


class RunProgress:
    """The record of one run of a job, noted and published at each change.

    Args:
        records: the records of jobs.
        retrying: waits for servers that are away.
        run: the run.
        record: the job as it was when the run began.
    """

    def __init__(
        self, records: JobRecords, retrying: Retrying, run: Run, record: JobRecord
    ) -> None:
        self._records = records
        self._retrying = retrying
        self._run = run
        self._record = record

    async def start(self) -> None:
        """Note that the job runs.

        Raises:
            TakenOver: the job is no longer this run's.
        """
        self._record = replace(
            self._record,
            status=JobStatus.RUNNING,
            progress=0.0,
            step=0,
            started_at=now_iso(),
        )
        await self._note()
        _log.info("job_started", kind=self._record.kind, attempts=self._run.attempts)

    async def report(self, step: int, total_steps: int) -> None:
        """Note how many learners or steps are done; the total may grow while the job runs.

        Raises:
            TakenOver: the job is no longer this run's.
        """
        total_steps = max(step, total_steps)
        progress = step / total_steps if total_steps else 0.0
        self._record = replace(self._record, progress=progress, step=step, total_steps=total_steps)
        await self._note()

    async def succeed(self, result: dict[str, object]) -> None:
        """Note the end of the job and its result.

        Raises:
            TakenOver: the job is no longer this run's.
        """
        self._record = replace(self._record, progress=1.0, result=result)
        await self._end(JobStatus.SUCCEEDED)

    async def fail(self, problem: str) -> None:
        """Note that the job failed, and why.

        Raises:
            TakenOver: the job is no longer this run's.
        """
        self._record = replace(self._record, problem=problem)
        await self._end(JobStatus.FAILED)

    async def put_back(self) -> None:
        """Leave the job to another run, as if this run had not begun."""
        await self._records.put_back(self._run, replace(self._record, started_at=None))

    async def _end(self, status: JobStatus) -> None:
        self._record = replace(self._record, status=status, ended_at=now_iso())
        await self._note()
        _log.info("job_ended", kind=self._record.kind, status=status.value)

    async def _note(self) -> None:
        if not await self._retrying.call(lambda: self._records.note(self._run, self._record)):
            raise TakenOver
