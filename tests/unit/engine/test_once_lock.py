"""A lock that a batch acquires once, wherever it needs it first."""

import asyncio

from workers.engine.engine import OnceLock


async def test_given_a_lock_acquired_twice_then_only_the_first_says_so() -> None:
    lock = asyncio.Lock()
    once = OnceLock(lock)

    assert [await once.acquire(), await once.acquire()] == [True, False]

    once.release()
    assert not lock.locked()


async def test_given_a_lock_of_another_batch_when_released_then_it_stays() -> None:
    lock = asyncio.Lock()
    first, second = OnceLock(lock), OnceLock(lock)
    await first.acquire()

    second.release()
    assert lock.locked()

    first.release()
    await second.acquire()
    first.release()  # a second time, after an error
    assert lock.locked()
