"""A lock that is taken where it is first needed, and let go once."""

import asyncio


class Turn:
    """A lock that one batch takes once, in one place or another."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._taken = False

    async def take(self) -> bool:
        """Take it, if it is not taken yet; returns whether it was not."""
        if self._taken:
            return False
        await self._lock.acquire()
        self._taken = True
        return True

    def give_back(self) -> None:
        """Let the next batch have it."""
        if self._taken:
            self._lock.release()
