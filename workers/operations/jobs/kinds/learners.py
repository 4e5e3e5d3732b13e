"""Parameters and counts that the kinds over learners share."""

from typing import Final

from pydantic import Field

from contracts.primitives import Identifier
from workers.estimation.learner import LearnerKey
from workers.operations.jobs.kinds.kind import Parameters
from workers.operations.jobs.record import JobKey
from workers.operations.repair.scope import NextPage, Scope

PAGE: Final = 20
"""Learners replayed at once: about 50 ms, during which no response is processed."""
COUNTED: Final = 500
"""Learners counted at once."""


class LearnerParameters(Parameters):
    """The learners in scope: all of the tenant, or one."""

    student_id: Identifier | None = Field(
        default=None, description="One student; without it, all of the tenant."
    )

    def scope(self, key: JobKey) -> Scope:
        """Return the scope of a job with these parameters."""
        return Scope(key.tenant_id, self.student_id)


class RepairParameters(LearnerParameters):
    """The parameters of kinds that repair."""

    dry_run: bool = Field(default=False, description="Find out, and change nothing.")


async def count(scope: Scope, following: NextPage[LearnerKey]) -> int:
    """Count the learners in scope."""
    return sum([len(page) async for page in scope.learners(following)])
