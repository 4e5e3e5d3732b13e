"""Tasks are ended for certain, also those that swallow a cancellation."""

import asyncio
from contextlib import suppress

from workers.common.tasks import end


async def stubborn(times: int) -> None:
    """A loop that a cancellation does not end until it came so many times."""
    for _ in range(times - 1):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def failing() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise RuntimeError("on the way out")


async def test_given_tasks_that_swallow_cancellations_then_they_still_end() -> None:
    tasks = [asyncio.create_task(stubborn(times)) for times in (1, 2, 3)]
    tasks += [asyncio.create_task(failing()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0.01)

    async with asyncio.timeout(30):
        await end(tasks)

    assert all(task.done() for task in tasks)


async def test_given_no_tasks_then_it_returns() -> None:
    await end([])
