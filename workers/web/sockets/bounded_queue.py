"""A bounded queue of the messages for one socket."""

import asyncio
from collections import deque
from typing import Final

CAPACITY: Final = 1_000
"""The most messages that may wait: about a megabyte."""


class BoundedQueue:
    """A queue that is marked as overflowing, for good, once a message does not fit.

    Args:
        capacity: the most messages that may wait.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._waiting: deque[str] = deque()
        self._arrived = asyncio.Event()
        self.overflowing = asyncio.Event()

    def put(self, message: str) -> None:
        """Add a message, or give up on the reader."""
        if self.overflowing.is_set():
            return
        if len(self._waiting) >= self._capacity:
            self._waiting.clear()
            self.overflowing.set()
            return
        self._waiting.append(message)
        self._arrived.set()

    async def take(self) -> str:
        """Return the next message; wait until there is one."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()
