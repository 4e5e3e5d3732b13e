"""The job ``reconcile``: repairs the graph from the ledger."""

from typing import Any, Final

from workers.operations.concept_map.graph_map import GraphMap
from workers.operations.jobs.kinds.kind import Kind, Report, Servers
from workers.operations.jobs.kinds.learners import COUNTED, RepairParameters, count
from workers.operations.jobs.record import JobKey
from workers.operations.reconciliation.graph_repair import GraphRepair
from workers.operations.reconciliation.unlocked import UnlockedRepair
from workers.operations.repair.scope import Scope


async def _reconcile(
    servers: Servers, key: JobKey, parameters: RepairParameters, report: Report
) -> dict[str, Any]:
    scope, dry_run = parameters.scope(key), parameters.dry_run
    await servers.retrying.call(servers.graph.prepare)
    total = await count(scope, lambda after: servers.audited.learners(after, COUNTED))
    concepts = 0
    if scope.learner is None:
        graph_map = GraphMap(
            ledger=servers.ledger,
            graph=servers.graph,
            retrying=servers.retrying,
            dry_run=dry_run,
        )
        concepts = sum([len(changed) async for changed in graph_map.of(scope.tenant_id)])
    repair = GraphRepair(
        ledger=servers.ledger,
        graph=servers.graph,
        retrying=servers.retrying,
        scope=scope,
        dry_run=dry_run,
    )
    learners = differences = left = nodes = 0
    async for page in repair.run():
        learners += page.learners
        differences += len(page.differences)
        left += len(page.left)
        nodes += len(page.nodes)
        await report(learners, total)
    # Last, because it needs the learners: an unlocked concept missing from the graph would be
    # published again.
    unlocked = await _unlocked(servers, scope, dry_run=dry_run)
    return {
        "learners": learners,
        "differences": differences + concepts,
        "not_repaired": differences + concepts if dry_run else left,
        "nodes_removed": 0 if dry_run else nodes,
        "unlocked": unlocked,
        "dry_run": dry_run,
    }


async def _unlocked(servers: Servers, scope: Scope, *, dry_run: bool) -> int:
    repair = UnlockedRepair(
        client=servers.client,
        shard_count=servers.shard_count,
        graph=servers.graph,
        retrying=servers.retrying,
        of_redis=servers.retrying,
        scope=scope,
        dry_run=dry_run,
    )
    return sum([repaired async for repaired in repair.run()])


KIND: Final = Kind(
    "Repairs the graph from the ledger, and its unlocked concepts from their stream.",
    RepairParameters,
    _reconcile,
)
