"""`/v1/jobs` in this process, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from redis.asyncio import Redis
from starlette.middleware import Middleware

from tests.support.http_callers import Verifier, bearer, client_of, guard, operator
from workers.operations.jobs.records import JobRecords
from workers.web.http import application
from workers.web.jobs import Jobs


def jobs_of(
    redis: Redis, records: JobRecords | None = None, verifier: Verifier | None = None
) -> Jobs:
    return Jobs(
        guard=guard(redis, verifier),
        records=records or JobRecords(redis),
        roles=("service_role",),
        max_event_bytes=4_096,
    )


@asynccontextmanager
async def served(
    redis: Redis, *, middleware: tuple[Middleware, ...] = (), verifier: Verifier | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    jobs = jobs_of(redis, verifier=verifier)
    async with client_of(application(jobs.routes, middleware)) as client:
        client.headers.update(bearer(operator()))
        yield client
