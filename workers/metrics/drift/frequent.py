"""Which names are told apart: the most frequent ones, in a bounded number of places."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

_OVER: Final = 100
"""Occurrences by which a newcomer must exceed twice those of the one whose place it takes."""
_KEPT: Final = 20
"""Names counted for each place."""
_FADES_AFTER: Final = 2_000
"""Occurrences counted for each place, after which all counts are halved."""


class FrequentNames:
    """Places for the most frequent names of a stream of which nobody knows how many there are.

    Each name has a place while there are any. After that, at most one in a call gives way, to one
    that is more than twice as frequent: who reads the places sees few changes. Counts of rare names
    are forgotten, as in lossy counting: Manku & Motwani (2002), "Approximate frequency counts over
    data streams", VLDB 28, 346-357.

    Args:
        places: how many.
    """

    def __init__(self, places: int) -> None:
        self._names: list[str | None] = [None] * places
        self._place_of: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._total = 0

    @property
    def names(self) -> list[str | None]:
        """Of each place the name that has it."""
        return list(self._names)

    @property
    def places(self) -> Mapping[str, int]:
        """The place of each name that has one."""
        return self._place_of

    def count(self, names: Iterable[str]) -> int | None:
        """Count names.

        Returns:
            A place that another name has now; None where all keep theirs.
        """
        seen = Counter(names)
        self._counts.update(seen)
        self._total += seen.total()
        for name, _ in seen.most_common():
            if len(self._place_of) == len(self._names):
                break
            if name not in self._place_of:
                self._take(len(self._place_of), name)
        taken = self._give_way(seen)
        self._forget()
        return taken

    def _take(self, place: int, name: str) -> None:
        before = self._names[place]
        if before is not None:
            del self._place_of[before]
        self._names[place] = name
        self._place_of[name] = place

    def _give_way(self, seen: Counter[str]) -> int | None:
        newcomers = [name for name in seen if name not in self._place_of]
        if not newcomers:
            return None
        newcomer = max(newcomers, key=self._counts.__getitem__)
        rarest = min(self._place_of, key=self._counts.__getitem__)
        if self._counts[newcomer] <= 2 * self._counts[rarest] + _OVER:
            return None
        place = self._place_of[rarest]
        self._take(place, newcomer)
        return place

    def _forget(self) -> None:
        places = len(self._names)
        if self._total > places * _FADES_AFTER:
            self._counts = Counter({name: n // 2 for name, n in self._counts.items() if n > 1})
            self._total = self._counts.total()
        if len(self._counts) > 2 * places * _KEPT:
            kept = heapq.nlargest(places * _KEPT, self._counts.items(), key=lambda one: one[1])
            self._counts = Counter(dict(kept))
