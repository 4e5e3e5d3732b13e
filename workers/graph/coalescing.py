"""Take larger batches under load: of one relationship only the newest state is written.

An event that comes alone waits for nothing. Once several come at a time, the projection rests
after each batch while the next one gathers, so the graph lags by a fraction of a second more and
its server works for a fraction of the time.
"""

import asyncio
from typing import Final

REST_S: Final = 0.25
"""Longest time that an event waits for others, seconds."""

_FACTOR: Final = 4
_ENOUGH: Final = 2_000
"""Larger batches save little more, and hold their locks for longer."""
_SEVERAL: Final = 10
"""Entries of a batch that show load."""


def largest_batch(batch_size: int) -> int:
    """Return the most entries that the projection reads at once.

    Args:
        batch_size: the most entries that other roles read at once.
    """
    return max(batch_size, min(_FACTOR * batch_size, _ENOUGH))


def rest_s(entries: int, largest: int) -> float:
    """Return how long to let entries gather after a batch, seconds.

    Args:
        entries: the number of entries of the batch.
        largest: the most entries that are read at once. After so many, others wait already.
    """
    return REST_S if _SEVERAL <= entries < largest else 0.0


async def rest(entries: int, largest: int) -> None:
    """Wait after a batch so that entries gather; see `rest_s`."""
    await asyncio.sleep(rest_s(entries, largest))
