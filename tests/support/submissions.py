"""Entries to submit to an engine, and a wait for what comes of them."""

import asyncio
from collections.abc import Callable

from tests.support.doubles import raw
from tests.support.factories import event_json

GOOD = [raw(event_json("s1", number), number) for number in range(12)]
BAD = raw(b"no JSON", 20)


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not condition():  # nothing announces it
            await asyncio.sleep(0.001)
