"""One version of all parameters of the engine."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from workers.estimation.items import ItemParameters
from workers.estimation.last_step import PredictionWeights
from workers.estimation.ranges import (
    Covariance,
    check_chance,
    check_covariance,
    check_decay,
    check_evidence,
)
from workers.estimation.scales import ConceptOffset, ScaleParameters


@dataclass(frozen=True)
class BktParameters:
    """Parameters of knowledge tracing for one concept.

    Source: Corbett & Anderson (1995), "Knowledge tracing: modeling the acquisition of procedural
    knowledge", User Modeling and User-Adapted Interaction 4, 253-278; forgetting: Khajah, Lindsey &
    Mozer (2016), "How deep is knowledge tracing?", EDM 9.

    No probability may be positive and below `ranges.LEAST`, so that odds stay within the range of a
    float in every step of the update.

    Args:
        prior: P(known before the first answer), in (0, 1).
        learn: P(unknown → known) after an answer, in [0, 1).
        guess: P(correct | unknown), in (0, 1).
        slip: P(wrong | known), in (0, 1); guess + slip < 1.
        forget: P(known → unknown) after an answer, in [0, 1).
        decay_per_day: rate of loss between two answers on the concept, 0 or more: P(known) ·
            exp(-decay_per_day · days). Source: Wang & Beck (2012), "Incorporating factors
            influencing knowledge retention into a student model", EDM 5, in the continuous form of
            Ebbinghaus (1885).
        covariance: covariance of the logits of prior, learn, guess, slip and forget after a fit, in
            that order; zeros for parameters that were not fitted; empty if unknown.

    Raises:
        ValueError: a probability lies outside its range or within (0, `ranges.LEAST`), guess + slip
            ≥ 1, or the covariance is not one.
    """

    prior: float
    learn: float
    guess: float
    slip: float
    forget: float = 0.0
    decay_per_day: float = 0.0
    covariance: Covariance = ()

    def __post_init__(self) -> None:
        for name in ("prior", "guess", "slip"):
            check_chance(name, getattr(self, name))
        for name in ("learn", "forget"):
            check_chance(name, getattr(self, name), zero=True)
        check_evidence(self.guess, self.slip)
        check_decay(self.decay_per_day)
        check_covariance(self.covariance, 5)

    @cached_property
    def prior_odds(self) -> tuple[float, int]:
        """Odds of the prior as mantissa and exponent."""
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
"""Parameters of a concept without calibrated ones."""


@dataclass(frozen=True)
class ConceptParameters:
    """Parameters of one concept; None stands for the default.

    Args:
        mastery: parameters of knowledge tracing.
        item: mean item of the concept, used for items never seen.
        concept_offset: distribution of ability on the concept around ability on its scale.
        prediction: weights of the last step for answers on the concept.
    """

    mastery: BktParameters | None = None
    item: ItemParameters | None = None
    concept_offset: ConceptOffset | None = None
    prediction: PredictionWeights | None = None


@dataclass(frozen=True)
class Parameters:
    """One version of all parameters; every learner's state names its version.

    An unknown item takes its concept's mean item, an unknown concept the default, an unknown scale
    `any_scale`.

    Args:
        version: number of the version, 1 or more.
        mastery_threshold: mastery from which a concept counts as mastered, in (0, 1).
        default: knowledge tracing of a concept without its own.
        concepts: parameters of concepts by id.
        items: parameters of items by id.
        scales: parameters of scales by name.
        any_scale: parameters of a scale without its own. None: such a scale is uncalibrated, and
            `workers.estimation.ability` estimates its abilities.

    Raises:
        ValueError: version or threshold lies outside its range.
    """

    version: int = 1
    mastery_threshold: float = 0.95
    default: BktParameters = CLASSICAL
    concepts: Mapping[str, ConceptParameters] = field(default_factory=dict)
    items: Mapping[str, ItemParameters] = field(default_factory=dict)
    scales: Mapping[str, ScaleParameters] = field(default_factory=dict)
    any_scale: ScaleParameters | None = None

    def __post_init__(self) -> None:
        if self.version < 1:
            raise ValueError(f"version must be 1 or more, not {self.version}")
        if not 0.0 < self.mastery_threshold < 1.0:
            raise ValueError(f"mastery_threshold must lie in (0, 1), not {self.mastery_threshold}")

    def of_concept(self, concept_id: str) -> BktParameters:
        """Return the knowledge tracing parameters of a concept."""
        concept = self.concepts.get(concept_id)
        return self.default if concept is None or concept.mastery is None else concept.mastery

    def of_scale(self, scale: str) -> ScaleParameters | None:
        """Return the parameters of a scale, None if it is uncalibrated."""
        return self.scales.get(scale, self.any_scale)

    def offset_of(self, concept_id: str, scale: ScaleParameters) -> ConceptOffset:
        """Return the offset parameters of a concept."""
        concept = self.concepts.get(concept_id)
        return (
            scale.concept_offset
            if concept is None or concept.concept_offset is None
            else concept.concept_offset
        )

    def prediction_of(self, concept_id: str, scale: ScaleParameters) -> PredictionWeights | None:
        """Return the weights of the last step for a concept; None if the scale has no last step."""
        concept = self.concepts.get(concept_id)
        if scale.prediction is None or concept is None or concept.prediction is None:
            return scale.prediction
        return concept.prediction

    def item_of(
        self, item_id: str, concept_ids: tuple[str, ...], scale: ScaleParameters
    ) -> ItemParameters:
        """Return an item's parameters; an unknown item takes its concept's mean item.

        The first concept with a mean item counts, then the scale's mean item.
        """
        item = self.items.get(item_id)
        if item is not None:
            return item
        for concept_id in concept_ids:
            concept = self.concepts.get(concept_id)
            if concept is not None and concept.item is not None:
                return concept.item
        return scale.item
