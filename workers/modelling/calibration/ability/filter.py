"""The ability filter for many learners at once: `workers.estimation.scales` in arrays.

Equal to `workers.estimation.answering.apply` to 1e-12 for items of two parameters, as a test shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from workers.estimation.logistic_normal import (
    evidence_of_logit,
    evidence_of_logits,
    logistic_normal_many,
)
from workers.modelling.calibration.table import Floats, Table

_NARROW: Final = 5_000
"""Mean number of learners side by side below which calls of numpy cost more than their work."""


@dataclass(frozen=True)
class AbilityModel:
    """Parameters of one scale as arrays over items and concepts; see `ScaleParameters`.

    Args:
        mean, variance, walk: parameters of ability.
        offset_variance: variance of each concept's offset before the first answer.
        offset_walk: variance that an answer adds to each concept's offset.
        drift: gain of the first answer on each concept, logits.
        ratio: ratio of the gains of two successive answers on a concept, common to all concepts.
        difficulty: difficulty of each item.
        discrimination: discrimination of each item.
    """

    mean: float
    variance: float
    walk: float
    offset_variance: Floats
    offset_walk: Floats
    drift: Floats
    ratio: float
    difficulty: Floats
    discrimination: Floats


class Filtered(NamedTuple):
    """Ability on each response's concepts before the response."""

    mean: Floats
    """Mean of ability plus offsets, logits."""
    variance: Floats
    """Variance of the same."""


def run_filter(table: Table, model: AbilityModel) -> Filtered:
    """Run the filter over all learners of a table."""
    return _run(
        table,
        (model.mean, model.variance, model.walk),
        (model.offset_variance, model.offset_walk, model.drift),
        model.ratio,
        (model.difficulty, model.discrimination),
    )


def run_filters(table: Table, models: Sequence[AbilityModel]) -> list[Filtered]:
    """Run the filter under several models, at least one.

    A pass over few learners with long logs costs its steps and not its work, so one pass then
    serves all models.
    """
    if table.score.size > _NARROW * (table.step.size - 1):
        return [run_filter(table, model) for model in models]

    def rows(name: str) -> Floats:
        return np.array([getattr(model, name) for model in models])

    filtered = _run(
        table,
        (rows("mean")[:, None], rows("variance")[:, None], rows("walk")[:, None]),
        (rows("offset_variance"), rows("offset_walk"), rows("drift")),
        rows("ratio")[:, None],
        (rows("difficulty"), rows("discrimination")),
    )
    return [Filtered(*columns) for columns in zip(*filtered, strict=True)]


def _run(
    table: Table,
    ability: tuple[float, float, float] | tuple[Floats, Floats, Floats],
    concepts: tuple[Floats, Floats, Floats],
    ratio: float | Floats,
    items: tuple[Floats, Floats],
) -> Filtered:
    """Run the filter; arrays end in the table's axis, which an axis of models may precede."""
    start, start_variance, ability_walk = ability
    models = np.shape(start)[:-1]
    pair, concept_of = table.pairs
    theta = start + np.zeros((*models, table.learners))
    spread = start_variance + np.zeros_like(theta)
    offset = np.zeros((*models, concept_of.size))
    offset_variances = concepts[0][..., concept_of]
    offset_walk = concepts[1][..., table.concept]
    left = np.maximum(1.0 - concepts[1] / concepts[0], 0.0)
    kept = np.sqrt(left)[..., table.concept]
    practice = concepts[2][..., table.concept] * ratio**table.attempt
    b, a = items[0][..., table.item], items[1][..., table.item]
    scores = np.broadcast_to(table.score, a.shape)
    of_rows, variance_of = np.empty_like(a), np.empty_like(a)
    begins, link_begins = table.step.tolist(), table.link_step.tolist()
    together = len(begins) - 1
    if not models:
        # For a single learner a step in plain Python is some twenty times as fast.
        together = int(np.searchsorted(-np.diff(table.step), -1))
    for k in range(together):
        rows, links = slice(begins[k], begins[k + 1]), slice(link_begins[k], link_begins[k + 1])
        n = begins[k + 1] - begins[k]
        pairs = pair[links]
        m1, v1, m2, v2 = (
            theta[..., :n],
            spread[..., :n],
            offset[..., pairs],
            offset_variances[..., pairs],
        )
        if table.single:
            mean, variance = m1 + m2, v1 + v2
        else:
            share, first = table.share[links], table.first_link[rows] - link_begins[k]
            mean = m1 + np.add.reduceat(share * m2, first, axis=-1)
            variance = v1 + np.add.reduceat(share * share * v2, first, axis=-1)
        of_rows[..., rows], variance_of[..., rows] = mean, variance
        steep = a[..., rows]
        x, w = steep * (mean - b[..., rows]), steep * steep * variance
        derivatives = evidence_of_logits(x.ravel(), w.ravel(), scores[..., rows].ravel())
        gradient, curvature = (derivative.reshape(x.shape) for derivative in derivatives)
        gradient *= steep
        curvature *= steep * steep
        theta[..., :n] = m1 + v1 * gradient
        spread[..., :n] = v1 * (1.0 - curvature * v1) + ability_walk
        if not table.single:
            of = table.link[links] - begins[k]
            gradient, curvature = share * gradient[..., of], share * share * curvature[..., of]
        shrink = kept[..., links]
        offset[..., pairs] = shrink * (m2 + v2 * gradient) + practice[..., links]
        offset_variances[..., pairs] = (
            shrink * shrink * v2 * (1.0 - curvature * v2) + offset_walk[..., links]
        )
    if not models and together < len(begins) - 1:
        _run_last_learner(
            table,
            begins[together],
            (float(theta[0]), float(spread[0]), float(ability_walk)),
            (offset, offset_variances, kept, practice, offset_walk),
            (b, a, of_rows, variance_of),
        )
    return Filtered(of_rows, variance_of)


def _run_last_learner(
    table: Table,
    begin: int,
    ability: tuple[float, float, float],
    concepts: tuple[Floats, Floats, Floats, Floats, Floats],
    rows: tuple[Floats, Floats, Floats, Floats],
) -> None:
    """Continue with the one learner with the longest log.

    Args:
        table: the responses.
        begin: first row with that learner alone.
        ability: mean, variance and walk.
        concepts: mean and variance of each pair's offset; the share that each link keeps, and what
            it adds to mean and variance.
        rows: difficulty and discrimination; mean and variance, which are written.
    """
    theta, spread, ability_walk = ability
    first = np.append(table.first_link, table.link.size)[begin:].tolist()
    pair = table.pairs[0].tolist()
    offset, offset_variances, kept, practice, offset_walk = (column.tolist() for column in concepts)
    difficulty, discrimination, means, variances = rows
    columns = (difficulty[begin:], discrimination[begin:], table.score[begin:])
    answers = zip(*(column.tolist() for column in columns), strict=True)
    for number, (b, a, score) in enumerate(answers):
        links = range(first[number], first[number + 1])
        share = 1.0 / len(links)
        mean = theta + share * sum(offset[pair[link]] for link in links)
        variance = spread + share * share * sum(offset_variances[pair[link]] for link in links)
        means[begin + number], variances[begin + number] = mean, variance
        gradient, curvature = evidence_of_logit(a * (mean - b), a * a * variance, score)
        gradient, curvature = a * gradient, a * a * curvature
        theta += spread * gradient
        spread = spread * (1.0 - curvature * spread) + ability_walk
        for link in links:
            place = pair[link]
            variance_before = offset_variances[place]
            shrink = kept[link]
            offset[place] = (
                shrink * (offset[place] + share * variance_before * gradient) + practice[link]
            )
            offset_variances[place] = (
                shrink
                * shrink
                * variance_before
                * (1.0 - share * share * curvature * variance_before)
                + offset_walk[link]
            )


def logits(table: Table, model: AbilityModel, filtered: Filtered) -> Floats:
    """Compute the filter's logit of a right answer before each response."""
    a, b = model.discrimination[table.item], model.difficulty[table.item]
    averaged = logistic_normal_many(a * (filtered.mean - b), a * a * filtered.variance)
    return np.asarray(np.log(averaged.right) - np.log(averaged.wrong))


def loss(score: Floats, z: Floats) -> float:
    """Compute the mean cross-entropy in nats.

    Args:
        score: scores in [0, 1], shape (n,).
        z: predicted logits, shape (n,).
    """
    return float((np.logaddexp(0.0, z) - score * z).mean())
