"""Responses of many learners as arrays, in the order in which a filter reads them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.modelling.calibration.paging import column, pages, release

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


NEVER: Final = -(2**62)
"""Time before any response, microseconds."""
_GROUP: Final = 2**20
"""Number of links up to which concepts are worked on together."""


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
    def linked(self) -> Ints:
        """Number of concepts of each response."""
        linked = column(self.learner.size, np.int32)
        linked[:] = 0
        for page in pages(self.link.size):
            np.add.at(linked, self.link[page], 1)
        return linked

    @property
    def share(self) -> Floats:
        """One over the number of concepts of each link's response."""
        return self.share_of(slice(None))

    def share_of(self, links: slice) -> Floats:
        """Return `share` of some links."""
        return np.asarray(1.0 / self.linked[self.link[links]])

    @cached_property
    def link_step(self) -> Ints:
        """Begin of the links of the k-th responses, see `step`."""
        return np.searchsorted(self.link, self.step)

    @cached_property
    def first_link(self) -> Ints:
        """First link of each response."""
        first = column(self.learner.size, np.int32)
        before = 0
        for page in pages(first.size):
            ends = before + np.cumsum(self.linked[page])
            first[page] = ends - self.linked[page]
            before = int(ends[-1])
        return first

    @cached_property
    def single(self) -> bool:
        """True if every response has one concept."""
        return self.link.size == self.learner.size

    @cached_property
    def concept_groups(self) -> list[tuple[int, int]]:
        """Ranges of concepts with at most `_GROUP` links each, unless a concept alone has more."""
        groups, begin, size = [], 0, 0
        for concept, count in enumerate(self.links_of_concept.tolist()):
            if size and size + count > _GROUP:
                groups.append((begin, concept))
                begin, size = concept, 0
            size += count
        return [*groups, (begin, len(self.concepts))]

    @cached_property
    def links_of_concept(self) -> Ints:
        """Number of links of each concept."""
        count = np.zeros(len(self.concepts), dtype=np.int64)
        for page in pages(self.concept.size):
            count += np.bincount(self.concept[page], minlength=count.size)
        return count

    def links_on(self, group: tuple[int, int]) -> Ints:
        """Return the links on a range of concepts, in their order."""
        if group == (0, len(self.concepts)):
            return np.arange(self.link.size)
        return np.concatenate(
            [
                page.start
                + np.flatnonzero((self.concept[page] >= group[0]) & (self.concept[page] < group[1]))
                for page in pages(self.link.size)
            ]
        )

    def pairs_of(self, links: Ints) -> tuple[Ints, Ints]:
        """Number the pairs of some links by learner, then by concept.

        Returns:
            Pair of each link, and concept of each pair.
        """
        learner = self.learner[self.link[links]].astype(np.int64)
        key: Ints = learner * len(self.concepts) + self.concept[links]
        distinct, pair = np.unique(key, return_inverse=True)
        concept_of = distinct % max(1, len(self.concepts))
        return pair.astype(np.int64), concept_of.astype(np.int64)

    @property
    def pairs(self) -> tuple[Ints, Ints]:
        """Pair of each link, and concept of each pair, numbered group by group of concepts."""
        return self._histories.pair, self._histories.concept_of_pair

    @property
    def attempt(self) -> Ints:
        """Number of the learner's earlier answers on the link's concept, for each link."""
        return self._histories.attempt

    @property
    def again(self) -> Bools:
        """True if the learner's response before it was on the concept too, for each link."""
        return self._histories.again

    @cached_property
    def _histories(self) -> "_Histories":
        size = self.link.size
        pair, attempt = column(size, np.int32), column(size, np.int32)
        again = column(size, np.bool_)
        concepts: list[Ints] = []
        before = 0
        for group in self.concept_groups:
            links = self.links_on(group)
            of, concept_of_pair = self.pairs_of(links)
            order = np.argsort(of, kind="stable")
            ordered, sorted_links = of[order], links[order]
            count = np.bincount(of, minlength=concept_of_pair.size)
            attempt[sorted_links] = np.arange(of.size) - np.repeat(np.cumsum(count) - count, count)
            answered_at_us = self.answered_at_us[self.link[sorted_links]]
            newest = np.full(of.size, NEVER)
            newest[1:] = np.where(ordered[1:] == ordered[:-1], answered_at_us[:-1], NEVER)
            previous_at_us = self.previous_at_us[self.link[sorted_links]]
            again[sorted_links] = (newest > NEVER) & (newest == previous_at_us)
            pair[links] = before + of
            before += concept_of_pair.size
            concepts.append(concept_of_pair.astype(np.int32))
            release(pair, attempt, again, self.answered_at_us, self.previous_at_us)
        return _Histories(pair, np.concatenate(concepts), attempt, again)

    @cached_property
    def concept_of_item(self) -> Ints:
        """First concept of each item's responses, -1 without a response."""
        concept = np.full(len(self.items), -1)
        for page in pages(self.learner.size):
            concept[self.item[page]] = self.concept[self.first_link[page]]
        return concept

    @cached_property
    def responses_of_item(self) -> Ints:
        """Number of responses of each item."""
        count = np.zeros(len(self.items), dtype=np.int64)
        for page in pages(self.item.size):
            count += np.bincount(self.item[page], minlength=count.size)
        return count

    def sum_by_item(self, values: Callable[[slice], Floats]) -> Floats:
        """Sum a value of each response by item.

        Args:
            values: computes the values of a page of responses.
        """
        total = np.zeros(len(self.items))
        for page in pages(self.item.size):
            np.add.at(total, self.item[page], values(page))
        return total

    def sum_by_concept(self, values: Callable[[slice, Ints], Floats]) -> Floats:
        """Sum a value of each link by concept.

        Args:
            values: computes the values of a page of links, from the page and its responses.
        """
        total = np.zeros(len(self.concepts))
        for page in pages(self.link.size):
            np.add.at(total, self.concept[page], values(page, self.link[page]))
        return total

    def release(self) -> None:
        """Give back the memory of columns in files."""
        release(*(getattr(self, field.name) for field in fields(self)[2:]))
        histories = self.__dict__.get("_histories")
        if histories is not None:
            release(*histories)

    def of(self, chosen: Bools) -> "Table":
        """Select learners; items and concepts keep their numbers.

        Args:
            chosen: True for the learners to keep, shape (learners,).
        """
        number = (np.cumsum(chosen) - 1).astype(self.learner.dtype)
        rows, before = self._rows_of(chosen)
        links = np.concatenate(
            [
                page.start + np.flatnonzero(chosen[self.learner[self.link[page]]])
                for page in pages(self.link.size)
            ]
            or [np.empty(0, dtype=np.int64)]
        )
        step = before[self.step].astype(np.int64)
        step = step[: int(np.searchsorted(step, rows.size)) + 1]

        def kept(values: Any, at: Ints) -> Any:
            taken = column(at.size, values.dtype)
            for page in pages(at.size):
                taken[page] = values[at[page]]
            release(values, taken)
            return taken

        learner, link = kept(self.learner, rows), kept(self.link, links)
        for page in pages(rows.size):
            learner[page] = number[learner[page]]
        for page in pages(links.size):
            link[page] = before[link[page]]
        return Table(
            self.items,
            self.concepts,
            learner,
            kept(self.item, rows),
            kept(self.score, rows),
            step,
            link,
            kept(self.concept, links),
            kept(self.answered_at_us, rows),
            kept(self.previous_at_us, rows),
        )

    def _rows_of(self, chosen: Bools) -> tuple[Ints, NDArray[np.int32]]:
        """Return the rows of some learners, and the number of them before each row and the end."""
        before = np.zeros(self.learner.size + 1, dtype=np.int32)
        for page in pages(self.learner.size):
            before[page.start + 1 : page.stop + 1] = chosen[self.learner[page]]
        np.cumsum(before, out=before)
        return np.flatnonzero(np.diff(before)).astype(np.int64), before

    def first(self, steps: int) -> "Table":
        """Select each learner's first responses, at most `steps` of them.

        Items and concepts keep their numbers.
        """
        if steps >= self.step.size - 1:
            return self
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


class _Histories(NamedTuple):
    """What the learner answered on a link's concept before; one entry per link but for pairs."""

    pair: Ints
    concept_of_pair: Ints
    attempt: Ints
    again: Bools


def answered_concepts(table: Table) -> list[tuple[int, str]]:
    """List numbers and names of the concepts with an answer, numbers rising."""
    return [(at, table.concepts[at]) for at in np.flatnonzero(table.links_of_concept).tolist()]
