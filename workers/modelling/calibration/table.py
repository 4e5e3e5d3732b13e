"""Responses of many learners as arrays, in the order in which a filter reads them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.estimation.learner import Response

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


NEVER: Final = -(2**62)
"""Time before any response, microseconds."""


def summed(index: Ints, values: Floats, count: int) -> Floats:
    """Sum values by index.

    Args:
        index: index of each value, below `count`.
        values: the values.
        count: number of sums.
    """
    return np.bincount(index, values, count).astype(np.float64, copy=False)


@dataclass(frozen=True)
class Table:
    """Responses sorted by their number in the learner's order, then by learner.

    Learners are numbered by falling number of responses. So learners with a k-th response are 0 to
    n - 1, and their k-th responses are adjacent.

    A *link* is a response together with one of its concepts; links are sorted like their responses.
    A *pair* is a learner together with a concept that the learner answered.

    Args:
        items: ids of items; arrays hold their indices.
        concepts: ids of concepts; arrays hold their indices.
        learner: learner of each response.
        item: item of each response.
        score: score of each response, in [0, 1].
        step: begin of the k-th responses, and the number of responses; shape (steps + 1,).
        link: response of each link.
        concept: concept of each link.
        answered_at_us: time of each response, microseconds since 1970-01-01T00:00:00Z.
        previous_at_us: time of the learner's response before it, on any scale; `NEVER` for the
            first.
    """

    items: Sequence[str]
    concepts: Sequence[str]
    learner: Ints
    item: Ints
    score: Floats
    step: Ints
    link: Ints
    concept: Ints
    answered_at_us: Ints
    previous_at_us: Ints

    @property
    def learners(self) -> int:
        """Number of learners."""
        return int(self.step[1]) if self.step.size > 1 else 0

    @cached_property
    def share(self) -> Floats:
        """One over the number of concepts of each link's response."""
        return 1.0 / np.bincount(self.link, minlength=self.learner.size)[self.link]

    @cached_property
    def link_step(self) -> Ints:
        """Begin of the links of the k-th responses, see `step`."""
        return np.searchsorted(self.link, self.step)

    @cached_property
    def first_link(self) -> Ints:
        """First link of each response."""
        return np.searchsorted(self.link, np.arange(self.learner.size))

    @cached_property
    def single(self) -> bool:
        """True if every response has one concept."""
        return self.link.size == self.learner.size

    @cached_property
    def pairs(self) -> tuple[Ints, Ints]:
        """Pair of each link, and concept of each pair."""
        key = self.learner[self.link] * len(self.concepts) + self.concept
        distinct, pair = np.unique(key, return_inverse=True)
        return pair, distinct % max(1, len(self.concepts))

    @cached_property
    def attempt(self) -> Ints:
        """Number of the learner's earlier answers on the link's concept, for each link."""
        pair, concept_of = self.pairs
        order = np.argsort(pair, kind="stable")
        count = np.bincount(pair, minlength=concept_of.size)
        attempt = np.empty_like(pair)
        attempt[order] = np.arange(pair.size) - np.repeat(np.cumsum(count) - count, count)
        return attempt

    @cached_property
    def again(self) -> Bools:
        """True if the learner's response before it was on the concept too, for each link."""
        pair, _ = self.pairs
        order = np.argsort(pair, kind="stable")
        newest = np.full(pair.size, NEVER)
        answered_at_us = self.answered_at_us[self.link[order]]
        newest[order[1:]] = np.where(
            pair[order[1:]] == pair[order[:-1]], answered_at_us[:-1], NEVER
        )
        again: Bools = (newest > NEVER) & (newest == self.previous_at_us[self.link])
        return again

    @cached_property
    def concept_of_item(self) -> Ints:
        """First concept of each item's responses, -1 without a response."""
        concept = np.full(len(self.items), -1)
        first = np.unique(self.link, return_index=True)[1]
        concept[self.item] = self.concept[first]
        return concept

    @cached_property
    def responses_of_item(self) -> Ints:
        """Number of responses of each item."""
        return np.bincount(self.item, minlength=len(self.items))

    def of(self, chosen: Bools) -> "Table":
        """Select learners; items and concepts keep their numbers.

        Args:
            chosen: True for the learners to keep, shape (learners,).
        """
        number = np.cumsum(chosen) - 1
        kept = chosen[self.learner]
        row = np.cumsum(kept) - 1
        of_step = np.repeat(np.arange(self.step.size - 1), np.diff(self.step))[kept]
        steps = int(of_step[-1]) + 1 if of_step.size else 0
        linked = kept[self.link]
        return Table(
            self.items,
            self.concepts,
            number[self.learner[kept]],
            self.item[kept],
            self.score[kept],
            np.searchsorted(of_step, np.arange(steps + 1)),
            row[self.link[linked]],
            self.concept[linked],
            self.answered_at_us[kept],
            self.previous_at_us[kept],
        )

    def first(self, steps: int) -> "Table":
        """Select each learner's first responses, at most `steps` of them.

        Items and concepts keep their numbers.
        """
        step = self.step[: steps + 1]
        rows = int(step[-1])
        links = int(np.searchsorted(self.link, rows))
        return Table(
            self.items,
            self.concepts,
            self.learner[:rows],
            self.item[:rows],
            self.score[:rows],
            step,
            self.link[:links],
            self.concept[:links],
            self.answered_at_us[:rows],
            self.previous_at_us[:rows],
        )


def answered_concepts(table: Table) -> list[tuple[int, str]]:
    """List numbers and names of the concepts with an answer, numbers rising."""
    return [(at, table.concepts[at]) for at in np.unique(table.concept).tolist()]


def table_of(logs: Iterable[Sequence[Response]]) -> tuple[Table, list[int]]:
    """Build the table of whole logs, one per learner in the learner's order.

    Returns:
        The table, and the place of the log of each of its learners.
    """
    kept = list(logs)
    order = sorted(range(len(kept)), key=lambda n: -len(kept[n]))
    items: dict[str, int] = {}
    concepts: dict[str, int] = {}
    learner: list[int] = []
    item: list[int] = []
    score: list[float] = []
    link: list[int] = []
    concept: list[int] = []
    answered_at_us: list[int] = []
    previous_at_us: list[int] = []
    step = [0]
    running = sum(map(bool, kept))
    k = 0
    while running:
        while running and len(kept[order[running - 1]]) <= k:
            running -= 1
        if not running:
            break
        for n in range(running):
            response = kept[order[n]][k]
            for name in response.concept_ids:
                link.append(len(learner))
                concept.append(concepts.setdefault(name, len(concepts)))
            learner.append(n)
            item.append(items.setdefault(response.item_id, len(items)))
            score.append(response.score)
            answered_at_us.append(response.answered_at_us)
            previous_at_us.append(kept[order[n]][k - 1].answered_at_us if k else NEVER)
        step.append(len(learner))
        k += 1
    return (
        Table(
            list(items),
            list(concepts),
            np.array(learner, dtype=np.int64),
            np.array(item, dtype=np.int64),
            np.array(score, dtype=np.float64),
            np.array(step, dtype=np.int64),
            np.array(link, dtype=np.int64),
            np.array(concept, dtype=np.int64),
            np.array(answered_at_us, dtype=np.int64),
            np.array(previous_at_us, dtype=np.int64),
        ),
        [n for n in order if kept[n]],
    )
