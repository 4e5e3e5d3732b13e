"""Waiting for a server: idempotent calls are repeated until it answers, and who waits is known."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from workers.common.errors import LedgerRefused, LedgerUnavailable, RedisUnavailable, Unavailable
from workers.common.retrying import FIRST_WAIT_S, LONGEST_WAIT_S, SETTLING_S, Retrying


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """A call that raises each of these in turn and then answers."""
    left = iter(errors)

    async def call() -> str:
        for error in left:
            raise error
        return "answer"

    return call


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record waits, seconds, without waiting."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("workers.common.jitter.asyncio.sleep", sleep)
    return waits


async def test_given_a_server_that_answers_then_nobody_waits(slept: list[float]) -> None:
    assert await Retrying().call(failing()) == "answer"
    assert slept == []


async def test_given_a_server_that_is_away_then_waits_double_up_to_the_longest(
    slept: list[float],
) -> None:
    call = failing(*[LedgerUnavailable("gone")] * 12)

    assert await Retrying().call(call) == "answer"

    steps = [min(FIRST_WAIT_S * 2**n, LONGEST_WAIT_S) for n in range(12)]
    assert all(step / 2 <= wait <= step for step, wait in zip(steps, slept, strict=True))
    assert len(set(slept)) == 12


async def test_given_an_absent_server_then_retries_name_it_and_the_cause() -> None:
    retrying, away = Retrying(first_s=0.001), True

    async def call() -> None:
        if away:
            raise RedisUnavailable("connection refused")

    waiting = asyncio.create_task(retrying.call(call))
    await asyncio.sleep(0.005)
    assert retrying.waiting == {"redis": "connection refused"}

    away = False
    await waiting
    assert retrying.waiting == {}


@pytest.mark.parametrize("error", [LedgerRefused("schema"), ValueError("defect"), KeyError("x")])
async def test_given_any_other_error_then_it_goes_through_at_once(
    error: Exception, slept: list[float]
) -> None:
    retrying = Retrying()

    with pytest.raises(type(error)):
        await retrying.call(failing(LedgerUnavailable("gone"), error))

    assert len(slept) == 1
    assert retrying.waiting == {}


async def test_given_a_wait_that_is_given_up_then_nobody_is_said_to_wait() -> None:
    retrying = Retrying(first_s=60, longest_s=60)
    waiting = asyncio.create_task(retrying.call(failing(LedgerUnavailable("gone"))))
    await asyncio.sleep(0.001)
    assert retrying.waiting

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert retrying.waiting == {}


def test_given_the_unavailable_then_each_names_its_server() -> None:
    servers = {kind("x").server for kind in Unavailable.__subclasses__()}  # type: ignore[call-arg]  # they take a reason alone
    assert servers == {"redis", "ledger", "graph", "keys", "clock"}


async def test_given_a_server_back_while_others_may_wait_then_it_is_not_settled(
    slept: list[float],
) -> None:
    now = 100.0
    retrying = Retrying(clock=lambda: now)
    await retrying.call(failing())
    seen = [retrying.unsettled]

    await retrying.call(failing(LedgerUnavailable("gone")))
    seen.append(retrying.unsettled)
    now += SETTLING_S
    seen.append(retrying.unsettled)

    assert len(slept) == 1
    assert retrying.waiting == {}
    assert seen == [False, True, False]
