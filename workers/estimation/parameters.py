"""The parameters under which a state is computed, and the version that names them."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

LEAST: Final = 1e-100
"""The smallest probability, other than 0, that a parameter may be."""


@dataclass(frozen=True)
class BktParameters:
    """Parameters of Bayesian knowledge tracing for one concept, each a probability.

    Source: Corbett & Anderson (1995), "Knowledge tracing: modeling the acquisition of procedural
    knowledge", User Modeling and User-Adapted Interaction 4, 253-278; forgetting after
    Khajah, Lindsey & Mozer (2016).

    None may be positive and below `LEAST`: odds then stay within what one float spans, in every
    step of the update.

    Args:
        prior: P(known before the first answer), in (0, 1).
        learn: P(unknown → known) after an answer, in [0, 1).
        guess: P(correct | unknown), in (0, 1).
        slip: P(wrong | known), in (0, 1); guess + slip < 1.
        forget: P(known → unknown) after an answer, in [0, 1).

    Raises:
        ValueError: if a probability lies outside its range or within (0, `LEAST`), or
            guess + slip ≥ 1.
    """

    prior: float
    learn: float
    guess: float
    slip: float
    forget: float = 0.0

    def __post_init__(self) -> None:
        for name in ("prior", "guess", "slip"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name} must lie in (0, 1), not {getattr(self, name)}")
        for name in ("learn", "forget"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} must lie in [0, 1), not {getattr(self, name)}")
        for name in ("prior", "learn", "guess", "slip", "forget"):
            if 0.0 < getattr(self, name) < LEAST:
                raise ValueError(f"{name} must be {LEAST} or more, not {getattr(self, name)}")
        if self.guess + self.slip >= 1.0:
            raise ValueError(
                f"guess + slip must be below 1, not {self.guess + self.slip}: else a right answer "
                "speaks against knowing"
            )

    @cached_property
    def prior_odds(self) -> tuple[float, int]:
        """The odds of the prior, as mantissa and exponent."""
        return math.frexp(self.prior / (1.0 - self.prior))

    @cached_property
    def ratio_of_right(self) -> float:
        """P(correct | known) / P(correct | unknown)."""
        return (1.0 - self.slip) / self.guess

    @cached_property
    def ratio_of_wrong(self) -> float:
        """P(wrong | known) / P(wrong | unknown)."""
        return self.slip / (1.0 - self.guess)


CLASSICAL: Final = BktParameters(prior=0.25, learn=0.10, guess=0.20, slip=0.10, forget=0.0)
"""What a concept without calibrated parameters has."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """One version of all parameters; a learner's state always says of which version it is.

    Args:
        version: 1 or more.
        mastery_threshold: mastery from which a concept counts as mastered, in (0, 1).
        default: BKT parameters of a concept that has none of its own.

    Raises:
        ValueError: if version or threshold lies outside its range.
    """

    version: int = 1
    mastery_threshold: float = 0.95
    default: BktParameters = CLASSICAL

    def __post_init__(self) -> None:
        if self.version < 1:
            raise ValueError(f"version must be 1 or more, not {self.version}")
        if not 0.0 < self.mastery_threshold < 1.0:
            raise ValueError(f"mastery_threshold must lie in (0, 1), not {self.mastery_threshold}")

    def of_concept(self, concept_id: str) -> BktParameters:  # noqa: ARG002  # all alike until calibrated
        """The BKT parameters of a concept."""
        return self.default
