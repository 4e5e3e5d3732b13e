"""A runner of jobs without a server beside it."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from contracts.streams import JOBS, JOBS_GROUP, REJECTED
from tests.support.doubles import fast_retrying
from tests.support.factories import claims, learner_log, uuid_of
from tests.support.ledger_steps import copier
from workers.estimation.learner import LearnerKey
from workers.graph.embedded import EmbeddedGraph
from workers.identity.claims import Authenticator, TrustedClaims
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameter_versions import ParametersSource
from workers.operations.jobs.admission import JobAdmission
from workers.operations.jobs.handlers import JobHandlers
from workers.operations.jobs.record import JobKey, JobRecord
from workers.operations.jobs.records import JobRecords
from workers.operations.jobs.runner import JobRunner, NewerKeys
from workers.publishing.publisher import Publisher
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.embedded_redis import EmbeddedRedis
from workers.streams.subscribers import ensure_groups
from workers.streams.tries import Tries

TENANT: Final = "school-7"
SHARDS: Final = 2
JOB: Final = JobKey(TENANT, uuid_of("job", 1))
TRUSTED: Final = TrustedClaims(issuer=None, audience="authenticated", tenant_claim="tenant_id")


def request(kind: str = "verify", number: int = 1, **changes: Any) -> dict[str, Any]:
    """A valid request; `changes` are fields of its data."""
    asked = {
        "job_id": uuid_of("job", number),
        "kind": kind,
        "claims": claims("operator-1", TENANT, role="service_role", exp=4_102_444_800),
    }
    return {
        "specversion": "1.0",
        "id": uuid_of("request", number),
        "source": "/scheduler",
        "type": "practice.job.requested.v1",
        "correlationid": "req-7",
        "data": asked | changes,
    }


@dataclass
class World:
    redis: Redis
    ledger: MemoryLedger
    graph: EmbeddedGraph
    records: JobRecords
    runner: JobRunner

    async def ask(self, event: dict[str, Any] | bytes, field_name: str = "event") -> None:
        text = event if isinstance(event, bytes) else json.dumps(event).encode()
        await self.redis.xadd(JOBS, {field_name: text})

    async def delivered(self) -> RawBatch:
        streams: Any = await self.redis.xreadgroup(JOBS_GROUP, "w", {JOBS: ">"}, count=10)
        entries = [RawEntry(entry_id.decode(), fields) for entry_id, fields in streams[0][1]]
        return RawBatch(JOBS, entries)

    async def pending(self) -> int:
        return int((await self.redis.xpending(JOBS, JOBS_GROUP))["pending"])

    async def job(self, number: int = 1, tenant_id: str = TENANT) -> JobRecord | None:
        return await self.records.find(JobKey(tenant_id, uuid_of("job", number)))

    async def rejected(self) -> list[dict[str, Any]]:
        entries: Any = await self.redis.xrange(REJECTED)
        return [json.loads(fields[b"event"])["data"] for _, fields in entries]


def runner_of(
    redis: Redis,
    ledger: MemoryLedger,
    graph: EmbeddedGraph,
    authenticator: Authenticator = TRUSTED,
    keys: NewerKeys | None = None,
) -> JobRunner:
    retrying = fast_retrying()
    return JobRunner(
        admission=JobAdmission(
            authenticator=authenticator,
            roles=("service_role",),
            tenant_claim="tenant_id",
            max_event_bytes=4_096,
            max_token_bytes=512,
            max_queue_age_s=3_600,
        ),
        records=JobRecords(redis),
        handlers=JobHandlers(
            ledger=ledger,
            graph=graph,
            versions=ParametersSource(ledger, 0.95),
            retrying=retrying,
            client=redis,
            shard_count=SHARDS,
        ),
        tries=Tries(redis),
        publisher=Publisher(redis, JOBS_GROUP),
        retrying=retrying,
        client=redis,
        keys=keys,
        rejected=REJECTED,
        max_attempts=2,
    )


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run notice soon that its job is no longer its own."""
    monkeypatch.setattr("workers.operations.jobs.execution._LOOK_S", 0.02)


@pytest.fixture(scope="session")
def practised() -> Callable[[], MemoryLedger]:
    """Makes ledgers with the same learners of two tenants."""
    logs = {
        LearnerKey("school-7" if number % 2 else "school-8", f"s{number:03}"): learner_log(
            2, seed=number, concepts=2
        )
        for number in range(50)
    }
    return copier(MemoryLedger(), logs)


@pytest.fixture
async def world(tmp_path: Path, practised: Callable[[], MemoryLedger]) -> AsyncIterator[World]:
    """Two tenants with learners, and a runner."""
    store, graph = EmbeddedRedis(), EmbeddedGraph(tmp_path / "graph")
    ledger = practised()
    redis = store.client()
    await ensure_groups(redis, [(JOBS, JOBS_GROUP)])
    try:
        yield World(redis, ledger, graph, JobRecords(redis), runner_of(redis, ledger, graph))
    finally:
        await graph.close()
        await store.close()


async def run(world: World, event: Any = None) -> None:
    await world.ask(request() if event is None else event)
    with capture_logs() as logs:
        await world.runner.submit(await world.delivered())
    assert "job_left_pending" not in str(logs)
