"""Ending tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

GRACE_S: Final = 10.0
"""How long a process that is asked to end gives what is on its way, all of it together, seconds."""

_AGAIN_S: Final = 0.1


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks until they are over; what they raise is dropped.

    Once is not enough: Python 3.11's `asyncio.wait_for`, which redis-py uses in every command,
    drops a cancellation that arrives together with its result, and a loop around it goes on.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_AGAIN_S)
        for task in done:
            if not task.cancelled():
                task.exception()  # looked at, or asyncio reports it as never retrieved
