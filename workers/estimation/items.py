"""Parameters of items: how a right answer depends on ability and on knowing."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from workers.estimation.ranges import check_chance, check_evidence, check_finite


@dataclass(frozen=True)
class ItemParameters:
    """Parameters of one item.

    Up to four parameters: P(correct | θ) = lower + (upper - lower) / (1 + exp(-a·(θ - b))). With a
    = 1, lower = 0 and upper = 1 it is the Rasch model. Source: Birnbaum (1968), in Lord & Novick,
    "Statistical theories of mental test scores", chapter 17; upper asymptote: Barton & Lord (1981),
    ETS research report 81-20.

    An item with K thresholds gives credit in steps 0, 1/K … 1. In the graded response model P(step
    ≥ k | θ) = 1 / (1 + exp(-a·(θ - threshold k))) (Samejima, 1969, Psychometrika monograph 17). In
    the generalised partial credit model P(step = k | θ) ∝ exp(Σ over j ≤ k of a·(θ - threshold j))
    (Muraki, 1992, Applied Psychological Measurement 16, 159-176).

    Guess and slip replace the concept's in knowledge tracing. Source: Pardos & Heffernan (2011),
    "KT-IDEM: introducing item difficulty to the knowledge tracing model", UMAP, 243-254.

    Args:
        difficulty: b, logits.
        discrimination: a, in (0, 10].
        lower: probability of a right answer at the lowest ability, in [0, upper).
        upper: probability of a right answer at the highest ability, in (lower, 1].
        thresholds: thresholds of the steps, logits; rising for the graded response model.
        steps: model of the thresholds.
        guess: P(correct | unknown), in (0, 1); given together with slip or not at all.
        slip: P(wrong | known), in (0, 1); guess + slip < 1.

    Raises:
        ValueError: a number lies outside its range.
    """

    difficulty: float = 0.0
    discrimination: float = 1.0
    lower: float = 0.0
    upper: float = 1.0
    thresholds: tuple[float, ...] = ()
    steps: Literal["graded", "partial_credit"] = "graded"
    guess: float | None = None
    slip: float | None = None

    def __post_init__(self) -> None:
        check_finite("difficulty", self.difficulty)
        check_finite("discrimination", self.discrimination, 1e-3, 10.0)
        if not 0.0 <= self.lower < self.upper <= 1.0:
            raise ValueError(
                f"lower and upper must keep 0 ≤ lower < upper ≤ 1, not {self.lower}, {self.upper}"
            )
        for threshold in self.thresholds:
            check_finite("thresholds", threshold)
        if self.steps == "graded" and any(b <= a for a, b in pairwise(self.thresholds)):
            raise ValueError(f"thresholds of a graded item must rise, not {self.thresholds}")
        if (self.guess is None) != (self.slip is None):
            raise ValueError("guess and slip must be given both or not at all")
        if self.guess is not None and self.slip is not None:
            check_chance("guess", self.guess)
            check_chance("slip", self.slip)
            check_evidence(self.guess, self.slip)

    @cached_property
    def ratios(self) -> tuple[float, float] | None:
        """Likelihood ratios known / unknown of right and wrong; None without guess and slip."""
        if self.guess is None or self.slip is None:
            return None
        return (1.0 - self.slip) / self.guess, self.slip / (1.0 - self.guess)

    @cached_property
    def location(self) -> float:
        """Location on the ability scale: difficulty, or the mean of the thresholds."""
        if self.thresholds:
            return sum(self.thresholds) / len(self.thresholds)
        return self.difficulty
