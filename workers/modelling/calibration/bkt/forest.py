"""The prefix trees of groups of concepts, which take turns in memory.

A concept's counts depend on its own tree alone. So a step over all concepts may visit one group of
them after another, and gives the same numbers as one over a single tree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from workers.modelling.calibration.bkt.prefix_tree import PrefixTree, tree_of_chains
from workers.modelling.calibration.chains import chains_of
from workers.modelling.calibration.paging import pages
from workers.modelling.calibration.table import Floats, Ints, Table

LONGEST: Final = 500
"""Number of a learner's answers on a concept that a fit reads. Later answers come from learners who
know the concept or never will, and each costs as much as a whole level of the tree."""
_NODES: Final = 2**20
"""Number of nodes up to which trees are copied in memory, and up to which one stays whole."""


@dataclass(frozen=True)
class Part:
    """Some concepts of a tree.

    Args:
        base: the tree.
        kept: concepts of the tree; None for all.
        number: number of each of them in the forest.
    """

    base: PrefixTree
    kept: Ints | None
    number: Ints

    @property
    def tree(self) -> PrefixTree:
        """The tree of these concepts, made anew at each call unless it is the whole tree."""
        return self.base if self.kept is None else self.base.of(self.kept)

    @property
    def nodes(self) -> Ints:
        """Number of nodes of each concept."""
        return self.base.nodes_of if self.kept is None else self.base.nodes_of[self.kept]


class Forest:
    """Trees of all concepts, with the interface of `PrefixTree` as far as fits use it.

    Args:
        concepts: number of concepts.
        values: the distinct scores.
        parts: trees of disjoint concepts.
    """

    def __init__(self, concepts: int, values: Floats, parts: Sequence[Part]) -> None:
        self.concepts = concepts
        self.values = values
        self.parts = parts

    def trees(self) -> Iterator[tuple[PrefixTree, Ints]]:
        """Yield one tree after the other, with the numbers of its concepts."""
        for part in self.parts:
            yield part.tree, part.number

    @property
    def nodes_of(self) -> Ints:
        """Number of nodes of each concept."""
        nodes = np.zeros(self.concepts, dtype=np.int64)
        for part in self.parts:
            nodes[part.number] = part.nodes
        return nodes

    @property
    def learners_of(self) -> tuple[Floats, Floats]:
        """Sum of the scores of each concept's answers, and number of them."""
        right, answers = np.zeros(self.concepts), np.zeros(self.concepts)
        for tree, number in self.trees():
            right[number], answers[number] = tree.learners_of
        return right, answers

    def of(self, kept: Ints) -> "Forest":
        """Return the trees of some concepts, renumbered in the given order."""
        place = np.full(self.concepts, -1)
        place[kept] = np.arange(kept.size)
        copied = int(self.nodes_of[kept].sum()) <= _NODES
        parts = []
        for part in self.parts:
            number = place[part.number]
            chosen = np.flatnonzero(number >= 0)
            if not chosen.size:
                continue
            if chosen.size < part.number.size:
                inside = chosen if part.kept is None else part.kept[chosen]
                part = Part(part.base, inside, number[chosen])  # noqa: PLW2901
            else:
                part = Part(part.base, part.kept, number)  # noqa: PLW2901
            parts.append(Part(part.tree, None, part.number) if copied else part)
        return Forest(kept.size, self.values, parts)

    def repeated(self, times: int) -> "Forest":
        """Return copies of the trees; copy n of concept c has number `n * concepts + c`."""
        copied = int(self.nodes_of.sum()) * times <= _NODES
        parts = []
        for part in self.parts:
            # Copies share a large tree, and are visited one after the other.
            for copies in pages(times, times if copied else 1):
                count = copies.stop - copies.start
                number = np.add.outer(
                    np.arange(copies.start, copies.stop) * self.concepts, part.number
                ).ravel()
                if count == 1:
                    parts.append(Part(part.base, part.kept, number))
                else:
                    parts.append(Part(part.tree.repeated(count), None, number))
        return Forest(self.concepts * times, self.values, parts)


def forest_of(table: Table) -> Forest:
    """Build the trees of a table with at least one response; chains end at `LONGEST` answers."""
    values = np.unique(
        np.concatenate([np.unique(table.score[rows]) for rows in pages(table.score.size)])
    )
    parts = []
    for group in table.concept_groups:
        chains = chains_of(table, group).first(LONGEST)
        if chains.concept.size:
            own = np.arange(group[0], group[1])
            tree = tree_of_chains(chains, values, len(table.concepts), table)
            parts.append(Part(tree.of(own), None, own))
        table.release()
    return Forest(len(table.concepts), values, parts)
