"""The job ``rebuild``: replaces stored estimates that differ from what the log gives."""

from typing import Any, Final

from workers.operations.jobs.kinds.kind import Kind, Report, Servers
from workers.operations.jobs.kinds.learners import COUNTED, PAGE, RepairParameters, count
from workers.operations.jobs.record import JobKey
from workers.operations.repair.rebuilding import Rebuilder


async def _rebuild(
    servers: Servers, key: JobKey, parameters: RepairParameters, report: Report
) -> dict[str, Any]:
    scope, dry_run = parameters.scope(key), parameters.dry_run
    total = await count(scope, lambda after: servers.audited.holders(after, COUNTED))
    rebuilder = Rebuilder(ledger=servers.audited, parameters=servers.versions, dry_run=dry_run)
    learners = repaired = damaged = sealed = 0
    async for page in rebuilder.rebuild(scope=scope, page=PAGE):
        learners += page.learners
        repaired += len(page.repaired)
        damaged += len(page.damaged)
        sealed += page.sealed
        await report(learners, total)
    return {
        "learners": learners,
        "repaired": repaired,
        "damaged": damaged,
        "rows_sealed": sealed,
        "dry_run": dry_run,
    }


KIND: Final = Kind(
    "Replaces stored estimates that differ from what the log gives.", RepairParameters, _rebuild
)
