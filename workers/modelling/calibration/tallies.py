"""Count answers and scores by concept and by item."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """Number of answers and sum of their scores."""

    answers: int = 0
    score: float = 0.0

    @property
    def right(self) -> float:
        """Mean score, in [0, 1]; NaN without an answer."""
        return self.score / self.answers if self.answers else float("nan")

    @property
    def alike(self) -> bool:
        """True if all answers are right or all are wrong."""
        return self.score in {0.0, float(self.answers)}


@dataclass(frozen=True)
class Tallies:
    """Counts of all answers, by concept and by item.

    Args:
        learners: number of learners.
        concepts: tallies by concept id; an answer counts for each of its concepts.
        items: tallies by item id.
    """

    learners: int
    concepts: Mapping[str, Tally]
    items: Mapping[str, Tally]
