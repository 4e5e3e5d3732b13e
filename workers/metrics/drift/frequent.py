"""Keep the most frequent names of a stream in a bounded number of places."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

_OVER: Final = 100
"""Count by which a newcomer must exceed twice the count of the name it replaces."""
_KEPT: Final = 20
"""Number of counted names per place."""
_FADES_AFTER: Final = 2_000
"""Number of occurrences per place after which all counts are halved."""


class FrequentNames:
    """Places for the most frequent names of a stream with an unknown number of names.

    A name takes a free place if there is one. Afterwards at most one name per call is replaced, by
    a name that is more than twice as frequent, so readers see few changes. Rare names are forgotten
    as in lossy counting: Manku & Motwani (2002), "Approximate frequency counts over data streams",
    VLDB 28, 346-357.

    Args:
        places: number of places.
    """

    def __init__(self, places: int) -> None:
        self._names: list[str | None] = [None] * places
        self._place_of: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._total = 0

    @property
    def names(self) -> list[str | None]:
        """Name of each place; None for a free one."""
        return list(self._names)

    @property
    def places(self) -> Mapping[str, int]:
        """Place of each name that has one."""
        return self._place_of

    def count(self, names: Iterable[str]) -> int | None:
        """Count names.

        Returns:
            A place whose name was replaced; None if there is none.
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
            kept = heapq.nlargest(places * _KEPT, self._counts.items(), key=lambda entry: entry[1])
            self._counts = Counter(dict(kept))
