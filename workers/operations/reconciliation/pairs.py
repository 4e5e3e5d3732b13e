"""A set of very many tuples in little memory."""

from array import array
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

_UNSORTED: Final = 100_000


class Pairs:
    """Remembers each tuple of ids in 8 bytes.

    Among a thousand million tuples two share their 8 bytes with a probability of 0.03; a tuple that
    was never added then seems to be in the set.
    """

    def __init__(self) -> None:
        self._sorted: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._new = array("Q")

    def update(self, tuples: Iterable[tuple[str, ...]]) -> None:
        """Add tuples."""
        self._new.extend(map(_digest, tuples))
        if len(self._new) > max(_UNSORTED, len(self._sorted)):
            self._sort()

    def __contains__(self, ids: tuple[str, ...]) -> bool:
        """Return True if a tuple was added."""
        if self._new:
            self._sort()
        digest = np.uint64(_digest(ids))
        at = int(np.searchsorted(self._sorted, digest))
        return at < len(self._sorted) and bool(self._sorted[at] == digest)

    def _sort(self) -> None:
        new = np.frombuffer(self._new, np.uint64)
        self._sorted = np.union1d(self._sorted, new)
        self._new = array("Q")


def _digest(ids: tuple[str, ...]) -> int:
    # Ids hold no control characters, so a unit separator keeps them apart.
    text = "\x1f".join(ids).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
