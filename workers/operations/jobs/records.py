"""Store job records in Redis: a hash for each job, an index for each tenant."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from contracts.streams import EVENT_FIELD, JOBS
from workers.common.errors import Refused
from workers.operations.jobs.record import (
    PROGRESS_CHANNEL,
    JobKey,
    JobRecord,
    JobRequest,
    JobStatus,
)
from workers.operations.jobs.record_layout import (
    index_key,
    now_iso,
    record_key,
    record_of,
    state_of,
)
from workers.streams.redis_errors import redis_errors

KEPT_S: Final = 30 * 86_400
"""Time a record is kept after its last change, seconds."""
PER_TENANT: Final = 1_000
"""The most records of a tenant; the oldest jobs that have ended make room."""
_PAGE: Final = 200

_OPEN, _BEGIN, _NOTE, _REFUSE, _CANCEL = (
    (Path(__file__).parent / f"{name}.lua").read_text()
    for name in ("open", "begin", "note", "refuse", "cancel")
)


class Run(NamedTuple):
    """One run of a job."""

    key: JobKey
    name: str
    """Unique to this run; a worker that takes the job over has another."""
    attempts: int
    """Number of times the job was begun and not put back, this run included."""


class JobRecords:
    """Reads and writes job records; a tenant never sees another tenant's.

    Args:
        client: a connection to the Redis of the streams.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._open = client.register_script(_OPEN)
        self._begin = client.register_script(_BEGIN)
        self._note = client.register_script(_NOTE)
        self._refuse = client.register_script(_REFUSE)
        self._cancel = client.register_script(_CANCEL)

    async def open(
        self, request: JobRequest, event: bytes = b"", *, entry_id: str = ""
    ) -> JobRecord:
        """Return the record of a request; create it and publish the request if there is none.

        Args:
            request: the request.
            event: published in the same step as a new record is created, and again if the entry
                of a job that no worker has begun was lost; empty: it is in the stream already.
            entry_id: the entry of the request, if it is in the stream.

        Raises:
            Refused: ``conflict`` if the id belongs to another request; ``rate_limited`` if the
                tenant has too many jobs.
            RedisUnavailable: try again.
        """
        content = orjson.dumps(
            {"kind": request.kind, "parameters": request.parameters}, option=orjson.OPT_SORT_KEYS
        )
        asked = orjson.dumps(
            {
                "kind": request.kind,
                "parameters": request.parameters,
                "requested_by": request.requested_by,
            }
        )
        tenant_id = request.key.tenant_id
        index = index_key(tenant_id)
        keys = [record_key(request.key), index, JOBS]
        arguments: list[str | bytes | int] = [
            hashlib.sha256(content).hexdigest(),
            asked,
            KEPT_S,
            PER_TENANT,
            request.key.job_id,
            EVENT_FIELD,
            event,
            entry_id,
        ]
        with redis_errors():
            answer: Any = await self._open(keys=keys, args=arguments)
            if answer[0] < 0:
                # A script names each key that it may delete.
                names: Any = await self._client.zrange(index, 0, -1)
                others = [name.decode() for name in names]
                records = [record_key(JobKey(tenant_id, job_id)) for job_id in others]
                answer = await self._open(keys=[*keys, *records], args=[*arguments, *others])
        if answer[0] == 0:
            raise Refused(
                RejectionCode.CONFLICT,
                f"job_id {request.key.job_id} is that of a job with another kind or other "
                "parameters: choose a new one",
                "data.job_id",
            )
        if answer[0] < 0:
            raise Refused(
                RejectionCode.RATE_LIMITED,
                f"{PER_TENANT} jobs of this tenant have not ended: wait for one of them",
            )
        fields = answer[1]
        return record_of(request.key, dict(zip(fields[::2], fields[1::2], strict=True)))

    async def find(self, key: JobKey) -> JobRecord | None:
        """Return a record; None if the tenant has none of that id.

        Raises:
            RedisUnavailable: try again.
        """
        with redis_errors():
            fields: Any = await self._client.hgetall(record_key(key))
        return record_of(key, fields) if fields else None

    async def page(
        self, tenant_id: str, limit: int, before: tuple[int, str] | None = None
    ) -> tuple[list[JobRecord], tuple[int, str] | None]:
        """Return a page of a tenant's records, the newest first, and the cursor of the next page.

        Args:
            tenant_id: the tenant.
            limit: the most records.
            before: the cursor of the previous page: a time in microseconds and an id.

        Raises:
            RedisUnavailable: try again.
        """
        newest = "+inf" if before is None else str(before[0])
        places: list[tuple[int, str]] = []
        with redis_errors():
            # All of them: they are few, and ids distinguish those of the same microsecond.
            rows: Any = await self._client.zrange(
                index_key(tenant_id), newest, "-inf", desc=True, byscore=True, withscores=True,
                offset=0, num=PER_TENANT,
            )  # fmt: skip
            for job_id, score in rows:
                place = (int(score), job_id.decode())
                if before is None or place < before:
                    places.append(place)
            page = places[:limit]
            async with self._client.pipeline(transaction=False) as pipeline:
                for _, job_id in page:
                    pipeline.hgetall(record_key(JobKey(tenant_id, job_id)))
                hashes = await pipeline.execute()
        records = [
            record_of(JobKey(tenant_id, place[1]), fields)
            for place, fields in zip(page, hashes, strict=True)
            if fields
        ]
        return records, page[-1] if len(places) > limit else None

    async def of_student(self, tenant_id: str, student_id: str) -> AsyncIterator[list[JobRecord]]:
        """Yield pages of the records that concern a student or were asked for by them.

        Raises:
            RedisUnavailable: try again.
        """
        before: tuple[int, str] | None = None
        while True:
            page, before = await self.page(tenant_id, _PAGE, before)
            yield [record for record in page if record.of_student(student_id)]
            if before is None:
                return

    async def remove(self, keys: Sequence[JobKey]) -> None:
        """Delete records; a worker that runs such a job gives it up.

        Raises:
            RedisUnavailable: try again.
        """
        with redis_errors():
            async with self._client.pipeline(transaction=True) as pipeline:
                for key in keys:
                    pipeline.delete(record_key(key))
                    pipeline.zrem(index_key(key.tenant_id), key.job_id)
                await pipeline.execute()

    async def begin(self, key: JobKey, name: str) -> Run | None:
        """Begin a job; None if it has ended or its record is gone.

        Raises:
            RedisUnavailable: try again.
        """
        with redis_errors():
            attempts = int(await self._begin(keys=[record_key(key)], args=[name, KEPT_S]))
        return Run(key, name, attempts) if attempts else None

    async def note(self, run: Run, record: JobRecord) -> bool:
        """Store and publish the progress of a job; False if the job is no longer this run's.

        Raises:
            RedisUnavailable: try again.
        """
        return await self._write(run, record, run.attempts)

    async def put_back(self, run: Run, record: JobRecord) -> bool:
        """Leave a job to another run, as if this run had not begun.

        Raises:
            RedisUnavailable: try again.
        """
        return await self._write(run, replace(record, status=JobStatus.QUEUED), run.attempts - 1)

    async def refuse(self, key: JobKey, entry_id: str, problem: str) -> bool:
        """Fail a job whose request is refused; False if another entry asked for it or it has ended.

        Raises:
            RedisUnavailable: try again.
        """
        record = await self.find(key)
        if record is None or record.entry_id != entry_id:
            return False
        record = replace(record, status=JobStatus.FAILED, problem=problem, ended_at=now_iso())
        with redis_errors():
            ended = await self._refuse(
                keys=[record_key(key)],
                args=[
                    entry_id,
                    KEPT_S,
                    PROGRESS_CHANNEL + key.job_id,
                    orjson.dumps(record.progress_message()),
                    state_of(record),
                ],
            )
        return bool(ended)

    async def cancel(self, key: JobKey, by: str) -> JobRecord | None:
        """Cancel a queued or running job; a worker that runs it gives it up.

        Args:
            key: the job.
            by: the subject that cancels it.

        Returns:
            The job afterwards: cancelled, unless it had ended before; None if there is none.

        Raises:
            RedisUnavailable: try again.
        """
        record = await self.find(key)
        if record is None or record.status.finished:
            return record
        problem = f"cancelled by {by}"
        record = replace(record, status=JobStatus.CANCELLED, problem=problem, ended_at=now_iso())
        with redis_errors():
            await self._cancel(
                keys=[record_key(key)],
                args=[
                    KEPT_S,
                    PROGRESS_CHANNEL + key.job_id,
                    orjson.dumps(record.progress_message()),
                    state_of(record),
                ],
            )
        return await self.find(key)

    async def owns(self, run: Run) -> bool:
        """Return True while a job is this run's.

        Raises:
            RedisUnavailable: try again.
        """
        with redis_errors():
            name: Any = await self._client.hget(record_key(run.key), "run")
        return name is not None and name.decode() == run.name

    async def _write(self, run: Run, record: JobRecord, attempts: int) -> bool:
        with redis_errors():
            written = await self._note(
                keys=[record_key(run.key)],
                args=[
                    run.name,
                    KEPT_S,
                    PROGRESS_CHANNEL + run.key.job_id,
                    orjson.dumps(record.progress_message()),
                    "status",
                    record.status.value,
                    "attempts",
                    attempts,
                    "state",
                    state_of(record),
                ],
            )
        return bool(written)
