"""Answers as ability-informed knowledge tracing sees them, and what its parameters say of them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from workers.calibration.chains import Chains, Smoothed, chains_of, expected_states
from workers.calibration.table import Floats, Ints, Table, summed

_LOGIT: Final = 30.0


@dataclass(frozen=True)
class Informed:
    """Parameters of all concepts as arrays; see `InformedParameters`."""

    unknown: Floats
    gap: Floats
    weight: Floats
    prior: Floats
    prior_slope: float
    learn: Floats
    forget: Floats

    @property
    def known(self) -> Floats:
        """Intercept of "known"."""
        return self.unknown + self.gap


@dataclass(frozen=True)
class InformedAnswers:
    """Answers by their places in chains.

    Args:
        chains: which places follow which.
        concept: of each place.
        score: of each place, in [0, 1].
        z: the ability filter's logit before each place.
        theta: ability at the first place of each chain.
        concepts: number of concepts.
    """

    chains: Chains
    concept: Ints
    score: Floats
    z: Floats
    theta: Floats
    concepts: int

    def by_concept(self, each: Floats) -> Floats:
        """Sums over the places of each concept."""
        return summed(self.concept, each, self.concepts)


def informed_answers(table: Table, z: Floats, theta: Floats) -> InformedAnswers:
    """The answers of a table, with the filter's logit and the ability before each of them."""
    chains = chains_of(table)
    concept = chains.concept_of_place
    return InformedAnswers(
        chains,
        concept,
        table.score[chains.row],
        np.clip(z[chains.row], -_LOGIT, _LOGIT),
        theta[chains.row[: chains.concept.size]],
        len(table.concepts),
    )


def chances(data: InformedAnswers, fitted: Informed) -> tuple[Floats, Floats]:
    """P(correct | unknown) and P(correct | known) at each place."""
    of = data.concept
    low = fitted.unknown[of] + fitted.weight[of] * data.z
    return (
        expit(np.clip(low, -_LOGIT, _LOGIT)),
        expit(np.clip(low + fitted.gap[of], -_LOGIT, _LOGIT)),
    )


def states_of(data: InformedAnswers, fitted: Informed) -> Smoothed:
    """What is known of the hidden state at each place."""
    unknown, known = chances(data, fitted)
    of, score = data.concept, data.score
    whole = bool(((score == 0.0) | (score == 1.0)).all())

    def likelihood(p: Floats) -> Floats:
        if whole:
            return np.where(score == 1.0, p, 1.0 - p)
        weighted: Floats = np.power(p, score) * np.power(1.0 - p, 1.0 - score)
        return weighted

    return expected_states(
        data.chains,
        (likelihood(unknown), likelihood(known)),
        known_at_first(data, fitted),
        fitted.learn[of],
        fitted.forget[of],
    )


def known_at_first(data: InformedAnswers, fitted: Informed) -> Floats:
    """P(known) at the first place of each chain."""
    x = fitted.prior[data.chains.concept] + fitted.prior_slope * data.theta
    p: Floats = expit(np.clip(x, -_LOGIT, _LOGIT))
    return p


def log_likelihoods(data: InformedAnswers, fitted: Informed) -> Floats:
    """Of each concept's answers, each predicted one step ahead, nats."""
    states = states_of(data, fitted)
    unknown, known = chances(data, fitted)
    p = states.before * known + (1.0 - states.before) * unknown
    each: Floats = data.score * np.log(p) + (1.0 - data.score) * np.log1p(-p)
    return data.by_concept(each)
