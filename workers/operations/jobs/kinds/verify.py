"""The job ``verify``: compares stored estimates with the log, and changes nothing."""

from typing import Any, Final

from workers.operations.jobs.kinds.kind import Kind, Report, Servers
from workers.operations.jobs.kinds.learners import COUNTED, PAGE, LearnerParameters, count
from workers.operations.jobs.record import JobKey
from workers.operations.repair.verifying import verify


async def _verify(
    servers: Servers, key: JobKey, parameters: LearnerParameters, report: Report
) -> dict[str, Any]:
    """Verify; `mastery verify` shows the details, this only counts."""
    scope = parameters.scope(key)
    total = await count(scope, lambda after: servers.audited.holders(after, COUNTED))
    await servers.versions.refresh()
    learners = responses = unsealed = outdated = differences = 0
    async for page in verify(servers.audited, servers.versions, scope=scope, page=PAGE):
        learners += page.learners
        responses += page.responses
        unsealed += page.unsealed
        outdated += page.outdated
        differences += len(page.differences)
        await report(learners, total)
    return {
        "learners": learners,
        "responses": responses,
        "rows_without_checksum": unsealed,
        "learners_outdated": outdated,
        "differences": differences,
    }


KIND: Final = Kind(
    "Compares stored estimates with the log, and changes nothing.", LearnerParameters, _verify
)
