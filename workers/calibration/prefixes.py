"""Answers on a concept as a tree of prefixes: learners who answered alike so far share the work.

Under knowledge tracing without items, the state after an answer depends on concept and answers so
far alone. So the forward pass visits each distinct prefix once. The backward pass does too: the
message to a prefix, Σ over learners below it of P(their later answers | state) / P(their later
answers | prefix), is the sum of what its children send, for each learner's quotient is a product of
terms that learners of the same child share.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from workers.calibration.chains import chains_of
from workers.calibration.table import Floats, Ints, Table, summed


@dataclass(frozen=True)
class Prefixes:
    """Nodes of the tree, level by level; a node is a concept and the answers on it so far.

    Args:
        concept: of each node.
        score: the newest answer of each node.
        parent: of each node its prefix, -1 on the first level.
        count: how many learners went through each node.
        level: where the nodes of the k-th answers begin, one more entry than there are levels.
    """

    concept: Ints
    score: Floats
    parent: Ints
    count: Floats
    level: Ints

    @cached_property
    def levels(self) -> list[slice]:
        """The nodes of each level."""
        return [slice(a, b) for a, b in pairwise(self.level.tolist())]

    @cached_property
    def ends(self) -> Floats:
        """How many learners' answers end at each node."""
        below = slice(int(self.level[1]), None)
        return self.count - summed(self.parent[below], self.count[below], self.count.size)


def prefixes_of(table: Table) -> Prefixes:
    """The tree of a table of at least one response."""
    chains = chains_of(table)
    score = table.score[chains.row]
    values, symbol = np.unique(score, return_inverse=True)
    node = np.full(chains.concept.size, -1)
    concepts, scores, parents, counts, level = [], [], [], [], [0]
    base = 0
    for k, (places, n) in enumerate(chains.slices()):
        above = chains.concept if k == 0 else node
        key = above[:n] * values.size + symbol[places]
        distinct, first, own, count = np.unique(
            key, return_index=True, return_inverse=True, return_counts=True
        )
        parents.append(np.full(distinct.size, -1) if k == 0 else distinct // values.size)
        concepts.append(chains.concept[:n][first])
        scores.append(values[distinct % values.size])
        counts.append(count)
        node[:n] = base + own
        base += distinct.size
        level.append(base)
    return Prefixes(
        np.concatenate(concepts),
        np.concatenate(scores),
        np.concatenate(parents),
        np.concatenate(counts).astype(np.float64),
        np.array(level),
    )
