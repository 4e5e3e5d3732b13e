"""Counters and timers that the engine uses; `workers.metrics.engine_metrics` implements them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from contracts.rejections import RejectionCode
from workers.estimation.learner import LearnerKey, Outcome, Response

Stage = Literal["admit", "load", "fold", "commit", "publish"]


class Counting(Protocol):
    """A counter that only rises."""

    def inc(self, amount: float = 1) -> None:
        """Add to it."""


class Meter(Protocol):
    """Counters and timers of the engine."""

    @property
    def applied(self) -> Counting:
        """Responses applied."""

    @property
    def late(self) -> Counting:
        """Applied responses that came after a later one."""

    @property
    def duplicates(self) -> Counting:
        """Entries whose response was in the log already."""

    @property
    def conflicts(self) -> Counting:
        """Learners that another worker changed in between."""

    def predicted(self, responses: Sequence[Response], outcomes: Sequence[Outcome]) -> None:
        """Compare predictions of applied responses with their scores."""

    def touched(self, learner: LearnerKey) -> None:
        """Count a learner with applied responses, once however often it comes."""

    def rejected(self, code: RejectionCode, count: int = 1) -> None:
        """Count rejected entries."""

    def batch(self, entries: int) -> None:
        """Count a batch with its number of entries."""

    def stage(self, stage: Stage) -> AbstractContextManager[None]:
        """Measure the time that a batch spends in a stage."""
