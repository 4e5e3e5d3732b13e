"""Count distinct things in constant memory."""

import math
from collections import Counter
from collections.abc import Hashable
from typing import Final

_INDEX_BITS: Final = 14
_REGISTERS: Final = 1 << _INDEX_BITS
_VALUE_BITS: Final = 64 - _INDEX_BITS
_VALUES: Final = (1 << _VALUE_BITS) - 1
_MASK: Final = (1 << 64) - 1
_ALPHA: Final = 0.7213 / (1 + 1.079 / _REGISTERS)
_MIX: Final = 0x9E3779B97F4A7C15


class DistinctCount:
    """The number of distinct things added, with a standard error of 0.8 %.

    HyperLogLog (Flajolet et al. 2007) over 64-bit hashes with 16,384 registers; few things are
    counted by the empty registers (linear counting, Whang et al. 1990).
    """

    def __init__(self) -> None:
        self._registers = bytearray(_REGISTERS)

    def add(self, thing: Hashable) -> None:
        """Add a thing; adding it again changes nothing."""
        # Python's hash of a tuple of texts is well spread only after mixing.
        mixed = hash(thing) * _MIX & _MASK
        mixed = (mixed ^ mixed >> 32) * _MIX & _MASK
        place = mixed >> _VALUE_BITS
        rank = _VALUE_BITS - (mixed & _VALUES).bit_length() + 1
        self._registers[place] = max(self._registers[place], rank)

    def count(self) -> int:
        """Estimate the number of distinct things added."""
        by_rank = Counter(self._registers)
        raw = _ALPHA * _REGISTERS**2 / sum(of * 2.0**-rank for rank, of in by_rank.items())
        empty = by_rank[0]
        if raw <= 2.5 * _REGISTERS and empty:
            return round(_REGISTERS * math.log(_REGISTERS / empty))
        return round(raw)
