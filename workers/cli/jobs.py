"""List and cancel jobs."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import typer

from workers.cli.columns import columns
from workers.cli.redis_client import redis_of_workers
from workers.cli.setting_up import set_up
from workers.common.errors import MasteryError
from workers.operations.jobs.record import JobKey, JobRecord, JobStatus
from workers.operations.jobs.records import JobRecords

_HEADS: Final = ("job", "kind", "status", "progress", "requested at", "requested by", "problem")

_Result = TypeVar("_Result")


def list_jobs(tenant: str, limit: int, *, as_json: bool) -> None:
    """Print a tenant's jobs, newest first.

    Args:
        tenant: the tenant.
        limit: at most this many.
        as_json: print JSON.
    """

    async def read(records: JobRecords) -> tuple[list[JobRecord], bool]:
        page, following = await records.page(tenant, limit)
        return page, following is not None

    jobs, more = _run(read)
    if as_json:
        typer.echo(json.dumps([job.to_jsonable() for job in jobs], indent=2))
    elif jobs:
        typer.echo("\n".join(columns(_HEADS, [_row(job) for job in jobs], right=["progress"])))
    else:
        typer.echo(f"tenant {tenant!r} has no jobs", err=True)
    if more:
        typer.echo("there are older jobs: give a higher --limit", err=True)


def cancel(tenant: str, job_id: str, *, as_json: bool) -> None:
    """Cancel a job.

    Args:
        tenant: its tenant.
        job_id: its id.
        as_json: print JSON.

    Raises:
        MasteryError: there is no such job, or it has ended already.
    """
    key = JobKey(tenant, job_id.lower())
    job = _run(lambda records: records.cancel(key, "`mastery jobs cancel`"))
    if job is None:
        raise MasteryError(
            f"tenant {tenant!r} has no job {job_id!r}: `mastery jobs list` shows its jobs"
        )
    if job.status is not JobStatus.CANCELLED:
        raise MasteryError(f"job {job_id} has ended already: it {job.status.value}")
    if as_json:
        typer.echo(json.dumps(job.to_jsonable(), indent=2))
    else:
        typer.echo(f"job {job_id} is cancelled")


def _row(job: JobRecord) -> list[str]:
    return [
        job.key.job_id,
        job.kind,
        job.status.value,
        f"{job.progress:.0%}",
        job.requested_at,
        job.requested_by,
        job.problem or "",
    ]


def _run(work: Callable[[JobRecords], Awaitable[_Result]]) -> _Result:
    settings = set_up()

    async def within() -> _Result:
        async with redis_of_workers(settings, "jobs") as client:
            return await work(JobRecords(client))

    return asyncio.run(within())
