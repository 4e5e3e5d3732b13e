"""Chains of knowledge tracing: one learner's answers on one concept, many side by side."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from workers.modelling.calibration.table import Floats, Ints, Table


@dataclass(frozen=True)
class Chains:
    """All chains of a table, longest first, so that the chains with a k-th answer are 0 to n - 1.

    Args:
        link: link of each place, sorted by number in the chain, then by chain.
        row: response of each place.
        concept: concept of each chain.
        step: begin of the k-th places, and the number of places; shape (longest chain + 1,).
    """

    link: Ints
    row: Ints
    concept: Ints
    step: Ints

    @property
    def concept_of_place(self) -> Ints:
        """Concept of each place."""
        return np.concatenate([self.concept[:n] for n in np.diff(self.step)])

    def first(self, places: int) -> "Chains":
        """Return each chain's first places, at most `places` of them."""
        step = self.step[: places + 1]
        end = int(step[-1])
        return Chains(self.link[:end], self.row[:end], self.concept, step)

    def slices(self) -> list[tuple[slice, int]]:
        """Return the places of each step, with their number."""
        return [(slice(a, b), b - a) for a, b in pairwise(self.step.tolist())]


def chains_of(table: Table, group: tuple[int, int] | None = None) -> Chains:
    """Build the chains of a table with at least one response.

    Args:
        table: the responses.
        group: range of concepts; None for all. Chains of a group have the same order as in all.
    """
    links = table.links_on(group or (0, len(table.concepts)))
    pair, concept = table.pairs_of(links)
    length = np.bincount(pair)
    longest_first = np.argsort(-length, kind="stable")
    place = np.empty_like(longest_first)
    place[longest_first] = np.arange(longest_first.size)
    chain = place[pair]
    by_chain = np.argsort(chain, kind="stable")
    ordered = chain[by_chain]
    number = np.arange(chain.size) - np.searchsorted(ordered, ordered)
    order = links[by_chain[np.lexsort((ordered, number))]]
    step = np.concatenate([[0], np.cumsum(np.bincount(number))])
    return Chains(order, table.link[order], concept[longest_first], step)


def forward_backward(
    chains: Chains, right: tuple[Floats, Floats], prior: Floats, learn: Floats, forget: Floats
) -> "Smoothed":
    """Run the forward and the backward pass over all chains at once.

    Source: Rabiner (1989), "A tutorial on hidden Markov models", Proceedings of the IEEE 77,
    257-286, in the scaled form; a transition follows each answer.

    Args:
        chains: the chains.
        right: likelihood of each place's answer if unknown and if known.
        prior: P(known) at each chain's first place.
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
        # A chain's last place has no transition after it.
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
    """Probabilities of each place given all answers of its chain.

    Args:
        before: P(known) before the answer, given only the earlier answers.
        known: P(known) at the answer.
        learned, forgot, stayed_known, stayed_unknown: probability of each transition after the
            answer; 0 at the end of a chain.
    """

    before: Floats
    known: Floats
    learned: Floats
    forgot: Floats
    stayed_known: Floats
    stayed_unknown: Floats
