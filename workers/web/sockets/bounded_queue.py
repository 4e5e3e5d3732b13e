"""What waits to be sent to one socket."""

import asyncio
from collections import deque
from typing import Final

CAPACITY: Final = 1_000
"""Messages that may wait: about a megabyte."""


class BoundedQueue:
    """A queue with a bound; what does not fit marks it as overflowing, for good.

    Args:
        capacity: how many messages may wait.
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
        """The next message, once there is one."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()
