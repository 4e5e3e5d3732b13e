"""What the engine counts while it works; `workers.metrics.engine_metrics` keeps it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from contracts.rejections import RejectionCode
from workers.estimation.learner import Outcome, Response

Stage = Literal["admit", "load", "fold", "commit", "publish"]


class Counting(Protocol):
    """A number that only rises."""

    def inc(self, amount: float = 1) -> None:
        """Add to it."""


class Meter(Protocol):
    """Counts and durations."""

    @property
    def applied(self) -> Counting:
        """Responses applied."""

    @property
    def late(self) -> Counting:
        """Of those, the ones that came after a later one."""

    @property
    def duplicates(self) -> Counting:
        """Entries whose response was in the log already."""

    @property
    def conflicts(self) -> Counting:
        """Learners that another worker changed in between."""

    def predicted(self, responses: Sequence[Response], outcomes: Sequence[Outcome]) -> None:
        """Compare what was predicted of applied responses with what then happened."""

    def rejected(self, code: RejectionCode, count: int = 1) -> None:
        """Count refused entries."""

    def batch(self, entries: int) -> None:
        """Count a batch of so many entries."""

    def stage(self, stage: Stage) -> AbstractContextManager[None]:
        """Measure the time that a batch spends within."""
