"""What the kinds of jobs do: the work of the commands of the same names, for one tenant."""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID, uuid5

from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from workers.common.errors import Refused
from workers.common.retrying import Patience
from workers.estimation.learner import LearnerKey
from workers.graph.protocol import Graph
from workers.ledger.parameter_versions import PatientVersions, Versions
from workers.ledger.protocol import Ledger
from workers.modelling.calibration_run.calibrator import Calibrator
from workers.operations.concept_map.graph_map import GraphMap
from workers.operations.jobs.parameters import (
    CalibrateParameters,
    OfLearners,
    Parameters,
    RepairParameters,
    VerifyParameters,
)
from workers.operations.jobs.patient_ledger import PatientLedger
from workers.operations.jobs.record import JobKey
from workers.operations.reconciliation.graph_repair import GraphRepair
from workers.operations.reconciliation.unlocked import UnlockedRepair
from workers.operations.repair.rebuilding import Rebuilder
from workers.operations.repair.scope import NextPage, Scope
from workers.operations.repair.verifying import verify

Told = Callable[[int, int], Awaitable[None]]
"""Told how many learners or steps are done, and of how many; 0: not known."""

_PAGE: Final = 20
"""Learners replayed at once: some 50 ms, in which no response is looked at."""
_COUNTED: Final = 500


_RUNS: Final = UUID("6d617374-6572-4579-8000-63616c696272")


class Work:
    """Does jobs, one at a time.

    Args:
        ledger: the system of record.
        graph: the learners' graph.
        versions: of the parameters.
        patience: waits for servers that are away.
        client: a connection to the Redis of the streams.
        shard_count: `STREAM_SHARDS`.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        graph: Graph,
        versions: Versions,
        patience: Patience,
        client: Redis,
        shard_count: int,
    ) -> None:
        self._ledger = ledger
        self._audited = PatientLedger(ledger, patience)
        self._graph = graph
        self._versions = PatientVersions(versions, patience)
        self._patience = patience
        self._client = client
        self._shard_count = shard_count

    async def do(
        self, kind: str, key: JobKey, parameters: Parameters, told: Told
    ) -> dict[str, Any]:
        """Do the work; safe to do again from the beginning, or from where a calibration was.

        Where a server is away it waits, and goes on where it was.

        Returns:
            What came of it, as JSON: counts alone, for a record tells of no student's values;
            `mastery verify` has the details.

        Raises:
            Refused: this version has no such work.
            Fatal: a server refuses us.
        """
        if isinstance(parameters, CalibrateParameters):
            return await self._calibrate(key, parameters, told)
        if not isinstance(parameters, OfLearners):
            raise Refused(
                RejectionCode.INVALID, f"{kind} is not available in this version of the engine"
            )
        scope = Scope(key.tenant_id, parameters.student_id)
        if isinstance(parameters, VerifyParameters):
            return await self._verify(scope, told)
        dry_run = isinstance(parameters, RepairParameters) and parameters.dry_run
        if kind == "rebuild":
            return await self._rebuild(scope, dry_run, told)
        return await self._reconcile(scope, dry_run, told)

    async def _calibrate(
        self, key: JobKey, parameters: CalibrateParameters, told: Told
    ) -> dict[str, Any]:
        """Figures alone: items and concepts may be those of another tenant."""
        calibrator = Calibrator(ledger=self._ledger, patience=self._patience)
        # Of the job: who takes it over goes on where it was.
        found = await calibrator.calibrate(parameters.request, told, run_id=run_of(key), by="job")
        return {
            "version": found.version,
            "active": found.active,
            "compared_with": found.compared_with,
            "learners": found.learners,
            "responses": found.responses,
            "warnings": len(found.diagnostics["warnings"]),
            "decision": found.decision.document(),
            "held_out": found.comparison.document(),
            "dry_run": parameters.dry_run,
        }

    async def _verify(self, scope: Scope, told: Told) -> dict[str, Any]:
        total = await self._count(scope, self._holders)
        await self._versions.refresh()
        learners = responses = unsealed = outdated = differences = 0
        async for page in verify(self._audited, self._versions, scope=scope, page=_PAGE):
            learners += page.learners
            responses += page.responses
            unsealed += page.unsealed
            outdated += page.outdated
            differences += len(page.differences)
            await told(learners, total)
        return {
            "learners": learners,
            "responses": responses,
            "rows_without_checksum": unsealed,
            "learners_outdated": outdated,
            "differences": differences,
        }

    async def _rebuild(self, scope: Scope, dry_run: bool, told: Told) -> dict[str, Any]:
        total = await self._count(scope, self._holders)
        rebuilder = Rebuilder(ledger=self._audited, parameters=self._versions, dry_run=dry_run)
        learners = repaired = damaged = sealed = 0
        async for page in rebuilder.rebuild(scope=scope, page=_PAGE):
            learners += page.learners
            repaired += len(page.repaired)
            damaged += len(page.damaged)
            sealed += page.sealed
            await told(learners, total)
        return {
            "learners": learners,
            "repaired": repaired,
            "damaged": damaged,
            "rows_sealed": sealed,
            "dry_run": dry_run,
        }

    async def _reconcile(self, scope: Scope, dry_run: bool, told: Told) -> dict[str, Any]:
        await self._patience.until_answered(self._graph.prepare)
        total = await self._count(scope, self._learners)
        concepts = 0
        if scope.one is None:
            graph_map = GraphMap(
                ledger=self._ledger, graph=self._graph, patience=self._patience, dry_run=dry_run
            )
            concepts = sum([len(found) async for found in graph_map.of(scope.tenant_id)])
        repair = GraphRepair(
            ledger=self._ledger,
            graph=self._graph,
            patience=self._patience,
            scope=scope,
            dry_run=dry_run,
        )
        learners = found = left = nodes = 0
        async for page in repair.run():
            learners += page.learners
            found += len(page.found)
            left += len(page.left)
            nodes += len(page.nodes)
            await told(learners, total)
        unlocked = await self._unlocked(scope, dry_run)
        return {
            "learners": learners,
            "differences": found + concepts,
            "not_repaired": found + concepts if dry_run else left,
            "nodes_removed": 0 if dry_run else nodes,
            "unlocked": unlocked,
            "dry_run": dry_run,
        }

    async def _unlocked(self, scope: Scope, dry_run: bool) -> int:
        """Last, since it needs the learners; what the graph does not hold would be told again."""
        repair = UnlockedRepair(
            client=self._client,
            shard_count=self._shard_count,
            graph=self._graph,
            patience=self._patience,
            of_redis=self._patience,
            scope=scope,
            dry_run=dry_run,
        )
        return sum([count async for count in repair.run()])

    async def _count(self, scope: Scope, following: NextPage[LearnerKey]) -> int:
        return sum([len(page) async for page in scope.learners(following)])

    async def _holders(self, after: LearnerKey) -> list[LearnerKey]:
        return await self._audited.holders(after, _COUNTED)

    async def _learners(self, after: LearnerKey) -> list[LearnerKey]:
        return await self._audited.learners(after, _COUNTED)


def run_of(key: JobKey) -> str:
    """The run of a job that calibrates: always the same one."""
    return str(uuid5(_RUNS, f"{len(key.tenant_id)}:{key.tenant_id}{key.job_id}"))
