"""The keys and fields under which Redis holds job records."""

from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

import orjson

from contracts.streams import JOBS
from workers.common.times import iso
from workers.operations.jobs.record import JobKey, JobRecord, JobStatus

# The braces put every key into the slot of the stream in a Redis Cluster.
PREFIX: Final = f"{{{JOBS}}}"


def record_key(key: JobKey) -> str:
    """Return the key of a job's hash."""
    # The quoted tenant has no colon, so two pairs of job and tenant never share a key.
    return f"{PREFIX}:record:{key.job_id}:{quote(key.tenant_id, safe='')}"


def index_key(tenant_id: str) -> str:
    """Return the key of the index of a tenant's jobs."""
    return f"{PREFIX}:jobs:{tenant_id}"


def now_iso() -> str:
    """Return the current time as records hold it: RFC 3339 in UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def state_of(record: JobRecord) -> bytes:
    """Return the part of a record that changes while the job runs, as JSON."""
    return orjson.dumps(
        {
            "progress": record.progress,
            "step": record.step,
            "total_steps": record.total_steps,
            "result": record.result,
            "problem": record.problem,
            "started_at": record.started_at,
            "ended_at": record.ended_at,
        }
    )


def record_of(key: JobKey, fields: dict[bytes, bytes]) -> JobRecord:
    """Return the record that a hash holds."""
    request = orjson.loads(fields[b"request"])
    return JobRecord(
        key=key,
        requested_at=iso(int(fields[b"requested_us"])),
        status=JobStatus(fields[b"status"].decode()),
        entry_id=fields.get(b"entry", b"").decode(),
        **request,
        **orjson.loads(fields.get(b"state", b"{}")),
    )
