"""Sleep for a random time, so that processes started together do not act together."""

import asyncio
import random


async def jittered_sleep(longest_s: float, *, least: float = 0.5) -> None:
    """Sleep for a time drawn uniformly between a share of the longest and the longest.

    Args:
        longest_s: the longest time, seconds.
        least: the smallest share of it, 0 to 1.
    """
    await asyncio.sleep(longest_s * random.uniform(least, 1.0))  # noqa: S311  # no secret
