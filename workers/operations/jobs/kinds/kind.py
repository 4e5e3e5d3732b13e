"""A kind of job: what may be asked of it, and what does it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from redis.asyncio import Redis

from workers.common.retrying import Retrying
from workers.graph.protocol import Graph
from workers.ledger.parameter_versions import RetryingVersions
from workers.ledger.protocol import Ledger
from workers.operations.jobs.record import JobKey
from workers.operations.jobs.retrying_ledger import RetryingLedger

Report = Callable[[int, int], Awaitable[None]]
"""Takes how many learners or steps are done, and of how many; 0: not known."""


class Parameters(BaseModel):
    """Base of the parameters of all kinds; an unknown name is refused, for it is a mistake."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers and sources that jobs use.

    Args:
        ledger: the system of record.
        audited: the same, which waits where the database is away.
        graph: the learners' graph.
        versions: the versions of the parameters.
        retrying: waits for servers that are away.
        client: a connection to the Redis of the streams.
        shard_count: `STREAM_SHARDS`.
    """

    ledger: Ledger
    audited: RetryingLedger
    graph: Graph
    versions: RetryingVersions
    retrying: Retrying
    client: Redis
    shard_count: int


Given = TypeVar("Given", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Given]):
    """A kind of job.

    Args:
        summary: one sentence for the reference.
        parameters: what may be asked of it; all of them have defaults.
        run: does the job, and returns its result as JSON. It can be begun again safely, waits
            where a server is away, and goes on where it was. The result holds counts only,
            because a record may not show values of a student.
        of_all_tenants: True if it concerns the whole deployment; a schedule then asks for it once
            instead of once per tenant.
    """

    summary: str
    parameters: type[Given]
    run: Callable[[Servers, JobKey, Given, Report], Awaitable[dict[str, Any]]]
    of_all_tenants: bool = False
