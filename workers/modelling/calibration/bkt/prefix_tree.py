"""Answers on a concept as a prefix tree: learners with the same answers so far share work.

In knowledge tracing without items the state after an answer depends only on the concept and the
answers so far. So the forward pass visits each distinct prefix once, and so does the backward pass.
The message to a prefix is Σ over learners below it of P(their later answers | state) / P(their
later answers | prefix). It is the sum of its children's messages, since each learner's quotient is
a product of terms that learners of the same child share.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from workers.modelling.calibration.chains import Chains
from workers.modelling.calibration.table import Floats, Ints, Table, summed


@dataclass(frozen=True)
class PrefixTree:
    """Nodes of the tree, level by level; a node is a concept with the answers on it so far.

    Args:
        concepts: number of concepts; some may have no node.
        values: the distinct scores.
        concept: concept of each node.
        symbol: index into `values` of each node's newest answer.
        parent: prefix of each node, -1 on the first level.
        count: number of learners through each node.
        level: first node of each level, and the number of nodes; shape (levels + 1,).
    """

    concepts: int
    values: Floats
    concept: Ints
    symbol: Ints
    parent: Ints
    count: Floats
    level: Ints

    @cached_property
    def levels(self) -> list[slice]:
        """Nodes of each level."""
        return [slice(a, b) for a, b in pairwise(self.level.tolist())]

    @cached_property
    def above(self) -> list[Ints]:
        """Parents of the nodes of each level but the first, counted within their level."""
        return [self.parent[nodes] - parents.start for parents, nodes in pairwise(self.levels)]

    @cached_property
    def answer(self) -> Ints:
        """Concept and newest score of each node: `symbol * concepts + concept`."""
        return self.symbol * self.concepts + self.concept

    @cached_property
    def ends(self) -> Floats:
        """Number of learners whose answers end at each node."""
        below = slice(int(self.level[1]), None)
        return self.count - summed(self.parent[below], self.count[below], self.count.size)

    @property
    def nodes_of(self) -> Ints:
        """Number of nodes of each concept."""
        return np.bincount(self.concept, minlength=self.concepts)

    @property
    def learners_of(self) -> tuple[Floats, Floats]:
        """Sum of the scores of each concept's answers, and number of them."""
        right = summed(self.concept, self.count * self.values[self.symbol], self.concepts)
        return right, summed(self.concept, self.count, self.concepts)

    def of(self, kept: Ints) -> "PrefixTree":
        """Return the tree of some concepts, renumbered in the given order."""
        number = np.full(self.concepts, -1)
        number[kept] = np.arange(kept.size)
        chosen = number[self.concept] >= 0
        place = np.concatenate([[0], np.cumsum(chosen)])
        level = place[self.level]
        level = level[: max(2, int(np.searchsorted(level, level[-1])) + 1)]
        parent = self.parent[chosen]
        return PrefixTree(
            kept.size,
            self.values,
            number[self.concept[chosen]],
            self.symbol[chosen],
            np.where(parent < 0, -1, place[parent]),
            self.count[chosen],
            level,
        )

    def repeated(self, times: int) -> "PrefixTree":
        """Return copies of the tree; copy n of concept c has number `n * concepts + c`."""
        # The copies of a level lie side by side, in the order of the levels.
        size = np.diff(self.level)
        order = np.concatenate(
            [np.tile(np.arange(nodes.start, nodes.stop), times) for nodes in self.levels]
        )
        copy = np.concatenate([np.repeat(np.arange(times), n) for n in size.tolist()])
        above = np.concatenate([np.zeros(size[0], dtype=np.int64), *self.above])
        of_level = np.repeat(np.arange(size.size), size * times)
        level = self.level * times
        parent = level[of_level - 1] + copy * size[of_level - 1] + above[order]
        return PrefixTree(
            self.concepts * times,
            self.values,
            copy * self.concepts + self.concept[order],
            self.symbol[order],
            np.where(of_level == 0, -1, parent),
            self.count[order],
            level,
        )


def tree_of_chains(chains: Chains, values: Floats, concepts: int, table: Table) -> PrefixTree:
    """Build the tree of chains.

    Args:
        chains: at least one chain.
        values: the distinct scores, rising.
        concepts: number of concepts.
        table: the responses.
    """
    symbol = np.searchsorted(values, table.score[chains.row])
    node = np.full(chains.concept.size, -1)
    concept_of, symbols, parents, counts, level = [], [], [], [], [0]
    base = 0
    for k, (places, n) in enumerate(chains.slices()):
        above = chains.concept if k == 0 else node
        key = above[:n] * values.size + symbol[places]
        distinct, first, inverse, count = np.unique(
            key, return_index=True, return_inverse=True, return_counts=True
        )
        parents.append(np.full(distinct.size, -1) if k == 0 else distinct // values.size)
        concept_of.append(chains.concept[:n][first])
        symbols.append(distinct % values.size)
        counts.append(count)
        node[:n] = base + inverse
        base += distinct.size
        level.append(base)
    return PrefixTree(
        concepts,
        values,
        np.concatenate(concept_of),
        np.concatenate(symbols),
        np.concatenate(parents),
        np.concatenate(counts).astype(np.float64),
        np.array(level),
    )
