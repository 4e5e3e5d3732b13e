"""The log of all learners, and the stored stages of calibration runs."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from workers.estimation.learner import LearnerKey

LEARNERS: Final = 2_000
"""The most learners of a page."""
RESPONSES: Final = 10_000
"""The most responses of a page, unless its first learner has more: about 1 MB, read in 50 ms."""


class LoggedAnswer(NamedTuple):
    """A response that counts, with the score that counts."""

    learner: int
    """Index of its learner in the page."""
    item_id: str
    concept_ids: Sequence[str]
    scale: str
    score: float
    """In [0, 1]."""
    answered_at_us: int


class LogPage(NamedTuple):
    """The log of some learners, corrections applied."""

    learners: list[LearnerKey]
    """Learners in the order of their keys; empty after the last page."""
    answers: list[LoggedAnswer]
    """Logs by learner, in the learner's order of answering."""


class Stage(NamedTuple):
    """The result of one stage of a calibration run."""

    run: str
    """UUID of the run."""
    name: str
    document: str


class CalibrationLedger(Protocol):
    """Reads the log of all learners and keeps the stages of calibration runs."""

    async def logs(
        self,
        after: LearnerKey | None = None,
        until_us: int | None = None,
        *,
        learners: int = LEARNERS,
        responses: int = RESPONSES,
    ) -> LogPage:
        """Read a page of the log of all learners of all tenants, corrections applied.

        Args:
            after: the last learner of the page before.
            until_us: leave out what was recorded or corrected later, microseconds since 1970 by
                the ledger's clock; None reads all.
            learners: the most learners of the page.
            responses: the most responses of the page, unless its first learner alone has more.
        """
        ...

    async def stages(self, run: str) -> dict[str, str]:
        """Read the documents of a run by stage name; altered documents are left out."""
        ...

    async def stages_named(self, name: str) -> list[Stage]:
        """Read the stages of this name of all runs, the newest first."""
        ...

    async def keep_stage(self, stage: Stage) -> None:
        """Store a stage in place of an earlier one of the same run and name."""
        ...

    async def forget_stages(self, run: str) -> int:
        """Forget a run and return its number of stages."""
        ...

    async def forget_idle_stages(self, idle_s: float) -> int:
        """Forget runs without a new stage for this many seconds; return their number of stages."""
        ...
