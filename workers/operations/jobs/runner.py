"""Running jobs: one at a time, beside the engine, each once."""

import asyncio
from collections.abc import Coroutine
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import uuid4

import structlog
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from contracts.streams import JOBS
from workers.common.errors import Fatal, KeyUnknown, Refused, Unavailable
from workers.common.retrying import Retrying
from workers.common.tasks import end
from workers.operations.jobs.admission import AdmittedJob, JobAdmission
from workers.operations.jobs.record import JobKey, JobRecord, JobStatus
from workers.operations.jobs.records import JobRecords, Run, now_iso
from workers.operations.jobs.work import Work
from workers.publishing.publisher import Outlet
from workers.publishing.rejection_event import rejection_event
from workers.publishing.settled import Settled
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.poison import described
from workers.streams.redis_clock import redis_now_ms
from workers.streams.route import Route
from workers.streams.tries import Tries

_log = structlog.get_logger(__name__)

_PUTTING_BACK_S: Final = 3.0
_LOOK_S: Final = 1.0
"""How often a run looks whether its job is still its own: cancelled, it ends within that time."""
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0


class NewerKeys(Protocol):
    """The issuer's keys (`workers.identity.keyring.KeyRing`)."""

    async def newer_than(self, moment_ms: int) -> object:
        """Return once the set was fetched after a moment; raises `Unavailable`."""
        ...


class JobRunner:
    """Takes requests for jobs and sees each through to its acknowledgement.

    The reader waits while a job runs, so that other workers take the next one.

    Args:
        admission: judges each request.
        records: what is known of jobs.
        work: does them.
        tries: where requests that fail unexpectedly are counted.
        outlet: acknowledges and publishes.
        retrying: waits for servers that are away.
        client: a connection to Redis, whose clock says what time it is.
        keys: the issuer's keys, fetched anew where one is unknown; None where there are none.
        rejected: the stream of rejections.
        max_attempts: so often a job is begun whose worker ends each time, and a request tried that
            fails unexpectedly.
    """

    def __init__(
        self,
        *,
        admission: JobAdmission,
        records: JobRecords,
        work: Work,
        tries: Tries,
        outlet: Outlet,
        retrying: Retrying,
        client: Redis,
        keys: "NewerKeys | None",
        rejected: str,
        max_attempts: int,
    ) -> None:
        self._admission = admission
        self._records = records
        self._work = work
        self._tries = tries
        self._outlet = outlet
        self._retrying = retrying
        self._client = client
        self._keys = keys
        self._route = Route.of_jobs(rejected)
        self._max_attempts = max_attempts
        self._held: set[str] = set()
        self._alone = asyncio.Lock()
        self._job: asyncio.Task[bool] | None = None
        self._stopping = asyncio.Event()

    @property
    def held(self) -> AbstractSet[str]:
        """The entries that are on their way here."""
        return self._held

    def busy(self) -> bool:
        """Whether a job runs or a server is waited for: then nothing is claimed from others."""
        return self._alone.locked() or self._retrying.unsettled

    def waited_for(self) -> dict[str, str]:
        """Of each server that is waited for, why."""
        return dict(self._retrying.waiting)

    async def submit(self, batch: RawBatch) -> None:
        """See requests through, one after the other; returns once all are done with."""
        if self._stopping.is_set():
            return
        for entry in batch:
            if entry.entry_id in self._held:
                continue
            self._held.add(entry.entry_id)
            deliveries = batch.deliveries.get(entry.entry_id, 1)
            try:
                known = await self._in_turn(entry, deliveries)
                # Fetched while other jobs may run; at the second look the key set decides.
                if not known and not (
                    await self._newer_keys() and await self._in_turn(entry, deliveries)
                ):
                    # As what a dead worker left behind, it is taken again in a while.
                    _log.warning("job_set_aside", entry_id=entry.entry_id, reason="key unknown")
            finally:
                self._held.discard(entry.entry_id)

    async def _in_turn(self, entry: RawEntry, deliveries: int) -> bool:
        """See a request through once no job runs; False if its key is not known yet."""
        async with self._alone:
            if self._stopping.is_set():
                return True
            self._job = job = asyncio.create_task(self._guard(entry, deliveries), name="job")
            # Not cancelled with its reader.
            await asyncio.wait({job})
            return job.cancelled() or job.result()

    async def stop(self) -> None:
        """Give up the job that runs; its entry stays pending, for any worker."""
        self._stopping.set()
        if self._job is not None:
            self._job.cancel()
            await asyncio.wait({self._job}, timeout=_PUTTING_BACK_S)
            await end([self._job])

    async def _guard(self, entry: RawEntry, deliveries: int) -> bool:
        """See a request through; False if its key is not known yet."""
        try:
            await self._try(entry, deliveries)
        except KeyUnknown:
            return False
        except Exception as error:  # noqa: BLE001  # the entry stays pending and is claimed again
            _log.error("job_left_pending", entry_id=entry.entry_id, error=described(error))
        return True

    async def _try(self, entry: RawEntry, deliveries: int) -> None:
        """Try until the request is seen through or has failed too often; its job counts for itself.

        Raises:
            KeyUnknown: a newer key set has to decide.
            Fatal: a server refuses us; the request is not at fault.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await self._see_through(entry, deliveries)
                break
            except (Fatal, Unavailable, KeyUnknown):
                raise
            except Exception as error:  # noqa: BLE001  # counted, and named in the rejection
                reason = described(error)
            if await self._failed_too_often(entry):
                sentence = (
                    f"the request failed {self._max_attempts} times ({reason}): report it, and "
                    "ask for the job anew once that is mended"
                )
                await self._reject(entry, Refused(RejectionCode.POISON, sentence), deliveries)
                break
            _log.warning("job_request_failed", entry_id=entry.entry_id, error=reason)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        await self._retrying.call(lambda: self._tries.forget(JOBS, entry.entry_id))

    async def _failed_too_often(self, entry: RawEntry) -> bool:
        ask, entry_id = self._retrying.call, entry.entry_id
        made = 1 + await ask(lambda: self._tries.made(JOBS, entry_id))
        await ask(lambda: self._tries.note(JOBS, entry_id, made))
        return made >= self._max_attempts

    async def _see_through(self, entry: RawEntry, deliveries: int) -> None:
        try:
            now_ms = await self._retrying.call(lambda: redis_now_ms(self._client))
            job = self._admission.judge(entry, now_ms)
            record = await self._retrying.call(
                lambda: self._records.open(job.request, entry_id=entry.entry_id)
            )
        except Refused as refusal:
            await self._reject(entry, refusal, deliveries)
            return
        run = await self._retrying.call(lambda: self._records.begin(record.key, str(uuid4())))
        if run is not None:
            with structlog.contextvars.bound_contextvars(
                job_id=record.key.job_id,
                tenant_id=record.key.tenant_id,
                correlation_id=job.correlation_id,
            ):
                try:
                    await self._run(run, job, record)
                except _TakenOver:
                    if not await self._cancelled(record.key):
                        _log.warning("job_taken_over")
                        return
                    _log.info("job_cancelled", kind=record.kind)
        await self._settle(Settled(entry))

    async def _newer_keys(self) -> bool:
        """Fetch the issuer's keys; whether they could be had."""
        if self._keys is None:
            raise AssertionError("only keys of an issuer are ever unknown")
        try:
            await self._keys.newer_than(await redis_now_ms(self._client))
        except Unavailable as error:
            _log.warning("job_keys_away", reason=str(error))
            return False
        return True

    async def _run(self, run: Run, job: AdmittedJob, record: JobRecord) -> None:
        progress = _Progress(self._records, self._retrying, run, record)
        if run.attempts > self._max_attempts:
            times = run.attempts - 1
            await progress.failed(f"its worker ended {times} times while it ran: look at the logs")
            return
        await progress.started()
        try:
            result = await self._while_own(
                run, self._work.do(job.request.kind, run.key, job.parameters, progress.told)
            )
        except asyncio.CancelledError:
            await progress.put_back()
            raise
        except _TakenOver:
            raise
        except Refused as refusal:
            await progress.failed(refusal.reason)
        except Exception as error:  # noqa: BLE001  # whatever it is, the job failed and says so
            await progress.failed(described(error))
        else:
            await progress.succeeded(result)

    async def _while_own(
        self, run: Run, work: Coroutine[Any, Any, dict[str, Any]]
    ) -> dict[str, Any]:
        """See work through.

        Raises:
            _TakenOver: the job is no longer this run's; the work was given up.
        """
        working = asyncio.create_task(work)
        losing = asyncio.create_task(self._until_lost(run))
        try:
            await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            losing.result()
            raise _TakenOver
        finally:
            await end([working, losing])

    async def _until_lost(self, run: Run) -> None:
        while await self._retrying.call(lambda: self._records.owns(run)):  # noqa: ASYNC110  # Redis tells nobody
            await asyncio.sleep(_LOOK_S)

    async def _cancelled(self, key: JobKey) -> bool:
        record = await self._retrying.call(lambda: self._records.find(key))
        return record is not None and record.status is JobStatus.CANCELLED

    async def _reject(self, entry: RawEntry, refusal: Refused, deliveries: int) -> None:
        _log.info(
            "job_rejected",
            code=refusal.code.value,
            field=refusal.field,
            stream=JOBS,
            entry_id=entry.entry_id,
        )
        key = self._admission.key_of(entry)
        if key is not None:
            # Whoever asked over HTTP was told that it is queued.
            await self._retrying.call(
                lambda: self._records.refuse(key, entry.entry_id, refusal.reason)
            )
        event = rejection_event(JOBS, entry, refusal, deliveries, datetime.now(UTC))
        await self._settle(Settled(entry, [event], refusal))

    async def _settle(self, settled: Settled) -> None:
        await self._retrying.call(lambda: self._outlet.publish(self._route, [settled]))


class _TakenOver(Exception):
    """Another worker has the job now, it was cancelled, or Redis has lost it."""


class _Progress:
    """A run's record, kept up to date."""

    def __init__(
        self, records: JobRecords, retrying: Retrying, run: Run, record: JobRecord
    ) -> None:
        self._records = records
        self._retrying = retrying
        self._run = run
        self._record = record

    async def started(self) -> None:
        self._record = replace(
            self._record,
            status=JobStatus.RUNNING,
            progress=0.0,
            step=0,
            started_at=now_iso(),
        )
        await self._note()
        _log.info("job_started", kind=self._record.kind, attempts=self._run.attempts)

    async def told(self, step: int, total_steps: int) -> None:
        """How many learners or steps are done; new ones may come while it runs."""
        total_steps = max(step, total_steps)
        progress = step / total_steps if total_steps else 0.0
        self._record = replace(self._record, progress=progress, step=step, total_steps=total_steps)
        await self._note()

    async def succeeded(self, result: dict[str, object]) -> None:
        self._record = replace(self._record, progress=1.0, result=result)
        await self._ended(JobStatus.SUCCEEDED)

    async def failed(self, problem: str) -> None:
        self._record = replace(self._record, problem=problem)
        await self._ended(JobStatus.FAILED)

    async def put_back(self) -> None:
        await self._records.put_back(self._run, replace(self._record, started_at=None))

    async def _ended(self, status: JobStatus) -> None:
        self._record = replace(self._record, status=status, ended_at=now_iso())
        await self._note()
        _log.info("job_ended", kind=self._record.kind, status=status.value)

    async def _note(self) -> None:
        if not await self._retrying.call(lambda: self._records.note(self._run, self._record)):
            raise _TakenOver
