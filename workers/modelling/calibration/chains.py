"""Chains of knowledge tracing: the answers of one learner on one concept, many side by side."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from workers.modelling.calibration.table import Floats, Ints, Table


@dataclass(frozen=True)
class Chains:
    """All chains of a table, the longest first: those that have a k-th answer are 0 to n - 1.

    Args:
        link: of each place in a chain, sorted by its number and then by chain, the link.
        row: of each place the response.
        concept: of each chain.
        step: where the k-th places begin, one more entry than there are steps.
    """

    link: Ints
    row: Ints
    concept: Ints
    step: Ints

    @property
    def concept_of_place(self) -> Ints:
        """The concept of each place."""
        return np.concatenate([self.concept[:n] for n in np.diff(self.step)])

    def first(self, places: int) -> "Chains":
        """The first places of each chain, at most so many."""
        step = self.step[: places + 1]
        end = int(step[-1])
        return Chains(self.link[:end], self.row[:end], self.concept, step)

    def slices(self) -> list[tuple[slice, int]]:
        """The places of each step, and how many they are."""
        return [(slice(a, b), b - a) for a, b in pairwise(self.step.tolist())]


def chains_of(table: Table) -> Chains:
    """The chains of a table of at least one response."""
    pair, concept = table.pairs
    length = np.bincount(pair)
    longest_first = np.argsort(-length, kind="stable")
    place = np.empty_like(longest_first)
    place[longest_first] = np.arange(longest_first.size)
    chain = place[pair]
    by_chain = np.argsort(chain, kind="stable")
    ordered = chain[by_chain]
    number = np.arange(chain.size) - np.searchsorted(ordered, ordered)
    order = by_chain[np.lexsort((ordered, number))]
    step = np.concatenate([[0], np.cumsum(np.bincount(number))])
    return Chains(order, table.link[order], concept[longest_first], step)


def forward_backward(
    chains: Chains, right: tuple[Floats, Floats], prior: Floats, learn: Floats, forget: Floats
) -> "Smoothed":
    """Forward and backward pass of the two-state chain over all chains at once.

    Source: Rabiner (1989), "A tutorial on hidden Markov models", Proceedings of the IEEE 77,
    257-286, in the scaled form; transitions follow each answer.

    Args:
        chains: which places follow which.
        right: likelihood of each place's answer while unknown, and once known.
        prior: P(known) of each chain at its first place.
        learn: P(unknown → known) after each place.
        forget: P(known → unknown) after each place.
    """
    unknown, known = right
    before, after = np.empty_like(known), np.empty_like(known)
    mass = prior.copy()
    slices = chains.slices()
    for places, n in slices:
        p = mass[:n]
        before[places] = p
        up, down = p * known[places], (1.0 - p) * unknown[places]
        q = up / (up + down)
        after[places] = q
        mass[:n] = q * (1.0 - forget[places]) + (1.0 - q) * learn[places]
    later_known, later_unknown = np.ones_like(prior), np.ones_like(prior)
    smoothed = np.empty_like(known)
    learned, forgot, stayed_known, stayed_unknown = (np.zeros_like(known) for _ in range(4))
    following = 0
    for places, n in reversed(slices):
        b1, b0, q = later_known[:n], later_unknown[:n], after[places]
        t, f = learn[places], forget[places]
        kk, ku = q * (1.0 - f) * b1, q * f * b0
        uk, uu = (1.0 - q) * t * b1, (1.0 - q) * (1.0 - t) * b0
        total = kk + ku + uk + uu
        smoothed[places] = (kk + ku) / total
        # Only a place that another follows tells of a transition.
        goes_on = slice(places.start, places.start + following)
        for counted, of in ((stayed_known, kk), (forgot, ku), (learned, uk), (stayed_unknown, uu)):
            counted[goes_on] = of[:following] / total[:following]
        seen_known = known[places] * ((1.0 - f) * b1 + f * b0)
        seen_unknown = unknown[places] * (t * b1 + (1.0 - t) * b0)
        largest = np.maximum(seen_known, seen_unknown)
        later_known[:n], later_unknown[:n] = seen_known / largest, seen_unknown / largest
        following = n
    return Smoothed(before, smoothed, learned, forgot, stayed_known, stayed_unknown)


@dataclass(frozen=True)
class Smoothed:
    """What is known of each place once all answers of its chain are seen.

    Args:
        before: P(known) before its answer, from the answers before it only.
        known: P(known) at it.
        learned, forgot, stayed_known, stayed_unknown: P(transition after it), 0 at a chain's end.
    """

    before: Floats
    known: Floats
    learned: Floats
    forgot: Floats
    stayed_known: Floats
    stayed_unknown: Floats
