"""What calibration asks of the system of record: the log of all, and where to keep its stages."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from workers.estimation.learner import LearnerKey

LEARNERS: Final = 2_000
"""Of a page, at most."""
RESPONSES: Final = 10_000
"""Of a page, unless its first learner alone has more: some 1 MB, read within 50 ms."""


class LoggedAnswer(NamedTuple):
    """A response that counts, as it counts."""

    learner: int
    """Its learner's place in the page."""
    item_id: str
    concept_ids: Sequence[str]
    scale: str
    score: float
    """In [0, 1]."""
    answered_at_us: int


class LogPage(NamedTuple):
    """What counts of the log of some learners."""

    learners: list[LearnerKey]
    """By their keys; none: there are no more."""
    answers: list[LoggedAnswer]
    """By learner, in the learner's order."""


class Stage(NamedTuple):
    """What a stage of a run of calibration gave."""

    run: str
    """UUID of the run."""
    name: str
    document: str


class CalibrationLedger(Protocol):
    """The system of record for those who calibrate."""

    async def logs(
        self,
        after: LearnerKey | None = None,
        until_us: int | None = None,
        *,
        learners: int = LEARNERS,
        responses: int = RESPONSES,
    ) -> LogPage:
        """A page of the log of all learners of all tenants, corrections applied.

        Args:
            after: the last learner of the page before.
            until_us: only what was recorded and corrected up to then, microseconds since 1970 by
                the ledger's clock; None: all.
            learners: at most so many.
            responses: no learner after the first is begun that would make it more.
        """
        ...

    async def stages(self, run: str) -> dict[str, str]:
        """The documents of a run's stages by their names; one that was altered is not there."""
        ...

    async def stages_named(self, name: str) -> list[Stage]:
        """Of each run the stage of this name, the newest first."""
        ...

    async def keep_stage(self, stage: Stage) -> None:
        """Keep what a stage gave, in place of what it gave before."""
        ...

    async def forget_stages(self, run: str) -> int:
        """Forget a run; returns how many stages it had."""
        ...

    async def forget_idle_stages(self, idle_s: float) -> int:
        """Forget runs whose newest stage is older; returns how many stages they had."""
        ...


def logs_request(
    after: LearnerKey | None, until_us: int | None, learners: int, responses: int
) -> dict[str, Any]:
    """The request of `mastery_logs`."""
    request: dict[str, Any] = {"limit": learners, "responses": responses}
    if until_us is not None:
        request["until_us"] = until_us
    if after is not None:
        request |= {"after_tenant": after.tenant_id, "after_student": after.student_id}
    return request


def read_logs(document: dict[str, Any]) -> LogPage:
    """What `mastery_logs` answered."""
    return LogPage(
        [LearnerKey(tenant, student) for tenant, student in document["learners"]],
        [
            LoggedAnswer(n - 1, item_id, concept_ids, scale, float(score), at_us)
            for n, item_id, concept_ids, scale, score, at_us in document["log"]
        ],
    )
