"""Run jobs one at a time beside the engine: from the request to its acknowledgement."""

import asyncio
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from contracts.streams import JOBS
from workers.common.errors import KeyUnknown, Refused, Unavailable
from workers.common.retrying import Retrying
from workers.common.tasks import end
from workers.operations.jobs.admission import JobAdmission
from workers.operations.jobs.execution import JobExecution
from workers.operations.jobs.handlers import JobHandlers
from workers.operations.jobs.records import JobRecords
from workers.publishing.publisher import Publisher
from workers.publishing.rejection_event import rejection_event
from workers.publishing.settled import Settled
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.poison import PoisonRetry, described
from workers.streams.redis_clock import RedisClock, redis_now_ms
from workers.streams.route import Route
from workers.streams.tries import Tries

_log = structlog.get_logger(__name__)

_PUTTING_BACK_S: Final = 3.0
"""Longest time `stop` waits until the running job is put back, seconds."""


class NewerKeys(Protocol):
    """The issuer's keys (`workers.identity.keyring.KeyRing`)."""

    async def newer_than(self, moment_ms: int) -> object:
        """Return once the set was fetched after this time, milliseconds since 1970.

        Raises:
            Unavailable: the issuer, or Redis, is away.
        """
        ...


class JobRunner:
    """Takes requests for jobs, carries the jobs out, and acknowledges the requests.

    The reader waits while a job runs, so that other workers take the next one.

    Args:
        admission: judges each request.
        records: the records of jobs.
        handlers: carries out jobs.
        tries: counts requests that fail unexpectedly.
        publisher: acknowledges and publishes.
        retrying: waits for servers that are away.
        client: a connection to Redis, whose clock counts.
        keys: the issuer's keys, fetched again if one is unknown; None without an issuer.
        rejected: the stream of rejections.
        max_attempts: how often a job is begun whose worker ends each time, and how often a request
            is tried that fails unexpectedly.
    """

    def __init__(
        self,
        *,
        admission: JobAdmission,
        records: JobRecords,
        handlers: JobHandlers,
        tries: Tries,
        publisher: Publisher,
        retrying: Retrying,
        client: Redis,
        keys: NewerKeys | None,
        rejected: str,
        max_attempts: int,
    ) -> None:
        self._admission = admission
        self._records = records
        self._execution = JobExecution(records, handlers, retrying, max_attempts)
        self._retry = PoisonRetry(tries, retrying, max_attempts)
        self._publisher = publisher
        self._retrying = retrying
        self._client = client
        self._clock = RedisClock(client)
        self._keys = keys
        self._route = Route.of_jobs(rejected)
        self._max_attempts = max_attempts
        self._in_flight: set[str] = set()
        self._alone = asyncio.Lock()
        self._job: asyncio.Task[bool] | None = None
        self._stopping = asyncio.Event()

    @property
    def in_flight(self) -> AbstractSet[str]:
        """The ids of the entries in flight."""
        return self._in_flight

    def busy(self) -> bool:
        """True while a job runs or a server is waited for; nothing is claimed from others then."""
        return self._alone.locked() or self._retrying.unsettled

    def waited_for(self) -> dict[str, str]:
        """The servers that are away, and why, by name."""
        return dict(self._retrying.waiting)

    async def submit(self, batch: RawBatch) -> None:
        """Process requests one after the other; returns when all are done."""
        if self._stopping.is_set():
            return
        for entry in batch:
            if entry.entry_id in self._in_flight:
                continue
            self._in_flight.add(entry.entry_id)
            deliveries = batch.deliveries.get(entry.entry_id, 1)
            try:
                known = await self._in_turn(entry, deliveries)
                # Other jobs may run during the fetch; on the second try the new key set decides.
                if not known and not (
                    await self._newer_keys() and await self._in_turn(entry, deliveries)
                ):
                    # It stays pending and is claimed again later, like a dead worker's entries.
                    _log.warning("job_set_aside", entry_id=entry.entry_id, reason="key unknown")
            finally:
                self._in_flight.discard(entry.entry_id)

    async def _in_turn(self, entry: RawEntry, deliveries: int) -> bool:
        """Process a request once no job runs; False if its key is not known yet."""
        async with self._alone:
            if self._stopping.is_set():
                return True
            self._job = job = asyncio.create_task(self._guard(entry, deliveries), name="job")
            # A cancelled reader does not cancel the job.
            await asyncio.wait({job})
            return job.cancelled() or job.result()

    async def stop(self) -> None:
        """Give up the running job; its entry stays pending for any worker."""
        self._stopping.set()
        if self._job is not None:
            self._job.cancel()
            await asyncio.wait({self._job}, timeout=_PUTTING_BACK_S)
            await end([self._job])

    async def _guard(self, entry: RawEntry, deliveries: int) -> bool:
        """Process a request; False if its key is not known yet."""
        try:
            await self._try(entry, deliveries)
        except KeyUnknown:
            return False
        except Exception as error:  # noqa: BLE001  # the entry stays pending and is claimed again
            _log.error("job_left_pending", entry_id=entry.entry_id, error=described(error))
        return True

    async def _try(self, entry: RawEntry, deliveries: int) -> None:
        """Try until the request is done with or has failed too often.

        A worker that ends counts as an attempt at the job, not as a try of its request.

        Raises:
            KeyUnknown: a newer key set has to decide.
            Fatal: a server refuses us; the request is not at fault.
        """

        async def refuse(reason: str) -> None:
            sentence = (
                f"the request failed {self._max_attempts} times ({reason}): report it, and ask "
                "for the job again once the cause is mended"
            )
            await self._reject(entry, Refused(RejectionCode.POISON, sentence), deliveries)

        await self._retry.until_done(
            JOBS,
            entry.entry_id,
            lambda: self._retry.counting_failures(
                JOBS, entry.entry_id, lambda: self._process(entry, deliveries)
            ),
            refuse,
            log_event="job_request_failed",
        )

    async def _process(self, entry: RawEntry, deliveries: int) -> None:
        try:
            now_ms = await self._retrying.call(self._clock.now_ms)
            job = self._admission.judge(entry, now_ms)
            record = await self._retrying.call(
                lambda: self._records.open(job.request, entry_id=entry.entry_id)
            )
        except Refused as refusal:
            await self._reject(entry, refusal, deliveries)
            return
        if await self._execution.execute(job, record):
            await self._settle(Settled(entry))

    async def _newer_keys(self) -> bool:
        """Fetch the issuer's keys; False if they can't be fetched."""
        if self._keys is None:
            raise AssertionError("only keys of an issuer can be unknown")
        try:
            await self._keys.newer_than(await redis_now_ms(self._client))
        except Unavailable as error:
            _log.warning("job_keys_away", reason=str(error))
            return False
        return True

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
            # A caller over HTTP was told that the job is queued.
            await self._retrying.call(
                lambda: self._records.refuse(key, entry.entry_id, refusal.reason)
            )
        event = rejection_event(JOBS, entry, refusal, deliveries, datetime.now(UTC))
        await self._settle(Settled(entry, [event], refusal))

    async def _settle(self, settled: Settled) -> None:
        await self._retrying.call(lambda: self._publisher.publish(self._route, [settled]))
