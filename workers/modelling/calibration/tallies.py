"""Count answers and scores by concept and by item."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """How often something was answered, and the sum of the scores."""

    answers: int = 0
    score: float = 0.0

    @property
    def right(self) -> float:
        """Mean score, in [0, 1]; of no answer it is not a number."""
        return self.score / self.answers if self.answers else float("nan")

    @property
    def alike(self) -> bool:
        """Whether all answers are right or all are wrong."""
        return self.score in {0.0, float(self.answers)}


@dataclass(frozen=True)
class Tallies:
    """Of all answers, by concept and by item; an answer counts for each of its concepts."""

    learners: int
    concepts: Mapping[str, Tally]
    items: Mapping[str, Tally]
