"""End tasks reliably."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

GRACE_S: Final = 10.0
"""Time that an ending process gives all its work in flight together, seconds."""

_AGAIN_S: Final = 0.1


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks until they have ended; their exceptions are dropped.

    One cancellation is not enough: Python 3.11's `asyncio.wait_for`, which redis-py uses in every
    command, drops a cancellation that arrives together with a result, and the caller goes on.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_AGAIN_S)
        for task in done:
            if not task.cancelled():
                task.exception()  # retrieved, or asyncio complains that it never was
