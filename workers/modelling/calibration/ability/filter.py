"""The ability filter for many learners at once: `workers.estimation.scales` in arrays.

Equal to `workers.estimation.answering.apply` to 1e-12 for items of two parameters, as a test shows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from workers.estimation.logistic_normal import (
    evidence_of_logit,
    evidence_of_logits,
    logistic_normal_many,
)
from workers.modelling.calibration.paging import PAGE, column, pages, release
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


def run_filters(table: Table, models: Sequence[AbilityModel]) -> Iterable[Filtered]:
    """Run the filter under several models, at least one; take each result before the next.

    A pass over few learners with long logs costs its steps and not its work, so one pass then
    serves all models.
    """
    if table.score.size > _NARROW * (table.step.size - 1):
        return (run_filter(table, model) for model in models)

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
    models = np.shape(ability[0])[:-1]
    shape = (*models, table.score.size)
    filtered = Filtered(column(shape, np.float64), column(shape, np.float64))
    state = _State(table, ability, concepts, ratio, items)
    together = table.step.size - 1
    if not models:
        # For a single learner a step in plain Python is some twenty times as fast.
        together = int(np.searchsorted(-np.diff(table.step), -1))
    for steps in _spans(table, together):
        _run_span(state, steps, filtered)
        release(*filtered)
    if together < table.step.size - 1:
        _run_last_learner(state, int(table.step[together]), filtered)
    table.release()
    return filtered


class _State:
    """State of all learners, and the columns of a span of responses and links."""

    def __init__(
        self,
        table: Table,
        ability: tuple[float, float, float] | tuple[Floats, Floats, Floats],
        concepts: tuple[Floats, Floats, Floats],
        ratio: float | Floats,
        items: tuple[Floats, Floats],
    ) -> None:
        start, start_variance, walk = ability
        self.walk: float | Floats = walk
        self.table = table
        self.pair, concept_of = table.pairs
        self.theta = start + np.zeros((*np.shape(start)[:-1], table.learners))
        self.spread = start_variance + np.zeros_like(self.theta)
        self.offset = np.zeros((*np.shape(start)[:-1], concept_of.size))
        self.offset_variances = concepts[0][..., concept_of]
        self._kept = np.sqrt(np.maximum(1.0 - concepts[1] / concepts[0], 0.0))
        self._walks, self._gains = concepts[1], concepts[2]
        self._ratio = ratio
        self._difficulty, self._discrimination = items

    def of_links(self, links: slice) -> tuple[Floats, Floats, Floats]:
        """Return the share that each link keeps, and what it adds to mean and variance."""
        concept = self.table.concept[links]
        return (
            self._kept[..., concept],
            self._gains[..., concept] * self._ratio ** self.table.attempt[links],
            self._walks[..., concept],
        )

    def of_rows(self, rows: slice) -> tuple[Floats, Floats]:
        """Return difficulty and discrimination of the items of responses."""
        item = self.table.item[rows]
        return self._difficulty[..., item], self._discrimination[..., item]


def _run_span(state: _State, steps: Sequence["_Step"], filtered: Filtered) -> None:
    table = state.table
    first_row, first_link = steps[0].rows.start, steps[0].links.start
    rows = slice(first_row, steps[-1].rows.stop)
    links = slice(first_link, steps[-1].links.stop)
    b, a = state.of_rows(rows)
    kept, practice, offset_walk = state.of_links(links)
    scores = np.broadcast_to(table.score[rows], a.shape)
    several = None if table.single else (table.share_of(links), table.first_link[rows])
    means, variances = filtered.mean[..., rows], filtered.variance[..., rows]
    for step in steps:
        here, of = _from(step.rows, first_row), _from(step.links, first_link)
        learners, pairs = step.learners, state.pair[step.links]
        m1, v1, m2, v2 = (
            state.theta[..., learners],
            state.spread[..., learners],
            state.offset[..., pairs],
            state.offset_variances[..., pairs],
        )
        if several is None:
            mean, variance = m1 + m2, v1 + v2
        else:
            share, first = several[0][of], several[1][here] - step.links.start
            mean = m1 + np.add.reduceat(share * m2, first, axis=-1)
            variance = v1 + np.add.reduceat(share * share * v2, first, axis=-1)
        means[..., here], variances[..., here] = mean, variance
        steep = a[..., here]
        x, w = steep * (mean - b[..., here]), steep * steep * variance
        derivatives = evidence_of_logits(x.ravel(), w.ravel(), scores[..., here].ravel())
        gradient, curvature = (derivative.reshape(x.shape) for derivative in derivatives)
        gradient *= steep
        curvature *= steep * steep
        state.theta[..., learners] = m1 + v1 * gradient
        state.spread[..., learners] = v1 * (1.0 - curvature * v1) + state.walk
        if several is not None:
            response = table.link[step.links] - step.rows.start
            gradient = share * gradient[..., response]
            curvature = share * share * curvature[..., response]
        shrink = kept[..., of]
        state.offset[..., pairs] = shrink * (m2 + v2 * gradient) + practice[..., of]
        state.offset_variances[..., pairs] = (
            shrink * shrink * v2 * (1.0 - curvature * v2) + offset_walk[..., of]
        )


class _Step(NamedTuple):
    """Responses of equal number in the order of their learners, at most a page of them."""

    rows: slice
    links: slice
    learners: slice


def _spans(table: Table, steps: int) -> Iterator[list[_Step]]:
    """Yield the first steps of a table, together some pages of them."""
    span: list[_Step] = []
    size = 0
    begins, link_begins = table.step.tolist(), table.link_step.tolist()
    for k in range(steps):
        begin, end = begins[k], begins[k + 1]
        for learners in pages(end - begin):
            rows = slice(begin + learners.start, begin + learners.stop)
            first, last = link_begins[k], link_begins[k + 1]
            if learners != slice(0, end - begin):
                first, last = np.searchsorted(table.link, [rows.start, rows.stop]).tolist()
            if size and size + last - first > PAGE:
                yield span
                span, size = [], 0
            span.append(_Step(rows, slice(first, last), learners))
            size += last - first
    if span:
        yield span


def _from(part: slice, begin: int) -> slice:
    return slice(part.start - begin, part.stop - begin)


def _run_last_learner(state: _State, begin: int, filtered: Filtered) -> None:
    """Continue with the one learner with the longest log.

    Args:
        state: state of all learners.
        begin: first row with that learner alone.
        filtered: receives mean and variance.
    """
    table = state.table
    rows = slice(begin, table.score.size)
    tail = slice(int(np.searchsorted(table.link, begin)), table.link.size)
    theta, spread = float(state.theta[0]), float(state.spread[0])
    ability_walk = float(state.walk)
    first = (np.append(table.first_link[rows], tail.stop) - tail.start).tolist()
    pairs, place = np.unique(state.pair[tail], return_inverse=True)
    pair_of = place.tolist()
    offset = state.offset[pairs].tolist()
    offset_variances = state.offset_variances[pairs].tolist()
    kept, practice, offset_walk = (values.tolist() for values in state.of_links(tail))
    means, variances = filtered.mean[rows], filtered.variance[rows]
    answers = (table.score[rows], *state.of_rows(rows))
    columns = zip(*(values.tolist() for values in answers), strict=True)
    for number, (score, b, a) in enumerate(columns):
        links = range(first[number], first[number + 1])
        share = 1.0 / len(links)
        mean = theta + share * sum(offset[pair_of[link]] for link in links)
        variance = spread + share * share * sum(offset_variances[pair_of[link]] for link in links)
        means[number], variances[number] = mean, variance
        gradient, curvature = evidence_of_logit(a * (mean - b), a * a * variance, score)
        gradient, curvature = a * gradient, a * a * curvature
        theta += spread * gradient
        spread = spread * (1.0 - curvature * spread) + ability_walk
        for link in links:
            at = pair_of[link]
            variance_before = offset_variances[at]
            shrink = kept[link]
            offset[at] = shrink * (offset[at] + share * variance_before * gradient) + practice[link]
            offset_variances[at] = (
                shrink
                * shrink
                * variance_before
                * (1.0 - share * share * curvature * variance_before)
                + offset_walk[link]
            )


def logits(table: Table, model: AbilityModel, filtered: Filtered) -> Floats:
    """Compute the filter's logit of a right answer before each response."""
    z = column(table.score.size, np.float64)
    for rows in pages(z.size):
        z[rows] = logits_of(table, model, filtered, rows)
    release(z, *filtered)
    return z


def logits_of(table: Table, model: AbilityModel, filtered: Filtered, rows: slice) -> Floats:
    """Compute `logits` of some responses."""
    a, b = model.discrimination[table.item[rows]], model.difficulty[table.item[rows]]
    averaged = logistic_normal_many(a * (filtered.mean[rows] - b), a * a * filtered.variance[rows])
    return np.asarray(np.log(averaged.right) - np.log(averaged.wrong))


def loss(score: Floats, z: Floats) -> float:
    """Compute the mean cross-entropy in nats.

    Args:
        score: scores in [0, 1], shape (n,).
        z: predicted logits, shape (n,).
    """
    return float((np.logaddexp(0.0, z) - score * z).mean())
