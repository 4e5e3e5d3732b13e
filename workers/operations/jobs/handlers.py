"""Carry out jobs of every kind."""

from typing import Any

from redis.asyncio import Redis

from workers.common.retrying import Retrying
from workers.graph.protocol import Graph
from workers.ledger.parameter_versions import RetryingVersions, Versions
from workers.ledger.protocol import Ledger
from workers.operations.jobs.kinds.kind import Parameters, Report, Servers
from workers.operations.jobs.kinds.registry import KINDS
from workers.operations.jobs.record import JobKey
from workers.operations.jobs.retrying_ledger import RetryingLedger


class JobHandlers:
    """Carries out jobs, one at a time, by the registry of kinds.

    Args:
        ledger: the system of record.
        graph: the learners' graph.
        versions: the versions of the parameters.
        retrying: waits for servers that are away.
        client: a connection to the Redis of the streams.
        shard_count: `STREAM_SHARDS`.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        graph: Graph,
        versions: Versions,
        retrying: Retrying,
        client: Redis,
        shard_count: int,
    ) -> None:
        self._servers = Servers(
            ledger=ledger,
            audited=RetryingLedger(ledger, retrying),
            graph=graph,
            versions=RetryingVersions(versions, retrying),
            retrying=retrying,
            client=client,
            shard_count=shard_count,
        )

    async def run(
        self, kind: str, key: JobKey, parameters: Parameters, report: Report
    ) -> dict[str, Any]:
        """Carry out a job; safe to begin again.

        Args:
            kind: a kind of the registry.
            key: the job.
            parameters: those of the kind.
            report: takes the progress.

        Returns:
            The result as JSON; see `Kind.run`.

        Raises:
            Refused: the job can't be done as asked.
            Fatal: a server refuses us.
        """
        return await KINDS[kind].run(self._servers, key, parameters, report)
