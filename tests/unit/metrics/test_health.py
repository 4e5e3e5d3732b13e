"""Health tells what its parts tell, soon, and for all who ask at once."""

import asyncio

import pytest

from workers.common.errors import GraphUnavailable, RedisUnavailable
from workers.metrics.health import Check, Health, Status


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class _Part:
    """A part that counts who asks, and fails as told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked = 0
        self.error = error

    async def probe(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error


async def _hang() -> None:
    await asyncio.Event().wait()


async def test_given_parts_that_work_when_asked_then_all_is_healthy() -> None:
    clock = _Clock()
    health = Health([Check("redis", _Part().probe)], version="1.2.3", clock=clock)
    clock.now += 7

    report = await health.report()

    assert report.ready
    assert report.to_jsonable() == {
        "status": "healthy",
        "version": "1.2.3",
        "uptime_s": 7.0,
        "checks": {"redis": {"status": "healthy", "required": True, "duration_ms": 0.0}},
    }


async def test_given_an_absent_required_part_then_unhealthy_with_its_reason() -> None:
    away = _Part(RedisUnavailable("connection refused"))
    health = Health([Check("redis", away.probe), Check("graph", _Part().probe)], version="1")

    report = await health.report()

    assert not report.ready
    shown = report.to_jsonable()
    assert shown["status"] == "unhealthy"
    assert shown["checks"]["redis"]["reason"] == "redis is unavailable: connection refused"
    assert shown["checks"]["redis"]["status"] == "unhealthy"
    assert shown["checks"]["graph"]["status"] == "healthy"


async def test_given_an_engine_without_its_graph_then_degraded_and_ready() -> None:
    graph = Check("graph", _Part(GraphUnavailable("no route")).probe, required=False)
    health = Health([Check("redis", _Part().probe), graph], version="1")

    report = await health.report()

    assert report.status is Status.DEGRADED
    assert report.ready
    assert report.to_jsonable()["checks"]["graph"]["required"] is False


async def test_given_a_part_that_never_answers_then_it_counts_as_absent_in_time() -> None:
    health = Health([Check("ledger", _hang)], version="1", timeout_s=0.02)

    report = await asyncio.wait_for(health.report(), 30)

    assert report.checks[0].reason == "no answer within 0.02 s"


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError("odd"), "ValueError: odd"), (TimeoutError("its own"), "TimeoutError: its own")],
)
async def test_given_an_unexpected_error_when_asked_then_it_is_the_reason(
    error: Exception, reason: str
) -> None:
    health = Health([Check("consumer", _Part(error).probe)], version="1")

    assert (await health.report()).checks[0].reason == reason


async def test_given_many_who_ask_at_once_when_asked_then_a_part_is_asked_once() -> None:
    part, clock = _Part(), _Clock()
    health = Health([Check("redis", part.probe)], version="1", cache_s=1.0, clock=clock)

    await asyncio.gather(*(health.report() for _ in range(20)))
    clock.now += 0.9
    await health.report()
    assert part.asked == 1

    part.error = RedisUnavailable("gone")
    clock.now += 0.2
    assert not (await health.report()).ready
    assert part.asked == 2


async def test_given_an_old_answer_when_the_part_recovers_then_health_does_too() -> None:
    part = _Part(RedisUnavailable("gone"))
    health = Health([Check("redis", part.probe)], version="1", cache_s=0.0)
    assert not (await health.report()).ready

    part.error = None

    assert (await health.report()).status is Status.HEALTHY


async def test_given_a_part_that_answers_but_takes_no_work_then_it_says_why() -> None:
    waiting = {"ledger": "no space left on device"}
    health = Health(
        [Check("ledger", _Part().probe)], version="1", cache_s=0, waiting=lambda: waiting
    )

    full = await health.report()
    waiting.clear()
    freed = await health.report()

    assert not full.ready
    assert full.checks[0].reason == "no space left on device"
    assert freed.ready


async def test_given_a_late_probe_when_given_up_then_none_starts_beside_it() -> None:
    polite = asyncio.Event()
    began = 0

    async def probe() -> None:
        nonlocal began
        began += 1
        try:
            await asyncio.Event().wait()
        finally:
            await polite.wait()
            raise OSError("hung up")

    health = Health([Check("ledger", probe)], version="1", timeout_s=0.01, cache_s=0)

    async with asyncio.timeout(30):
        reasons = [(await health.report()).checks[0].reason for _ in range(3)]
    assert reasons == ["no answer within 0.01 s"] * 3
    assert began == 1

    polite.set()
    await asyncio.sleep(0.01)
    await health.report()
    assert began == 2
