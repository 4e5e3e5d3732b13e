"""The status of a worker: rates, what is away, and one report for many."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from tests.support.http_callers import store
from workers.common.errors import LedgerUnavailable, RedisUnavailable
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameters import Activation
from workers.metrics.drift.windows import CurveBin
from workers.metrics.engine_metrics import EngineMetrics
from workers.metrics.health import Health
from workers.operations.dead_letters.tally import DeadLetterTally, Waiting
from workers.web.status import Status


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _AwayLedger(MemoryLedger):
    async def activation(self) -> Activation:
        raise LedgerUnavailable("connection refused")


class _AwayTally(DeadLetterTally):
    async def count(self) -> Waiting:
        raise RedisUnavailable("connection refused")


async def _refresh() -> None: ...


async def _fails() -> None:
    raise RedisUnavailable("connection refused")


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def metrics() -> EngineMetrics:
    return EngineMetrics("1.2.3")


@pytest.fixture
async def status(clock: _Clock, metrics: EngineMetrics) -> AsyncIterator[Status]:
    async with store() as redis:
        yield Status(
            registry=metrics.registry,
            refresh=_refresh,
            health=Health([], version="1.2.3"),
            calibration=lambda: [CurveBin(10.0, 0.25, 0.3)],
            dead_letters=DeadLetterTally(redis, ["rejected"]),
            parameters=MemoryLedger(),
            clock=clock,
        )


async def test_given_responses_then_the_rate_is_that_of_the_last_minute(
    status: Status, clock: _Clock, metrics: EngineMetrics
) -> None:
    rates = []
    for second in range(0, 200, 20):
        clock.now = float(second)
        metrics.applied.inc(100 if second <= 100 else 0)
        rates.append((await status.report())["responses"]["per_s"])

    assert rates[0] == 0.0
    assert rates[1:6] == pytest.approx([10.0, 7.5, 5.0, 5.0, 5.0])
    assert rates[-1] == 0.0


async def test_given_two_looks_within_a_second_then_they_share_a_report(
    status: Status, clock: _Clock, metrics: EngineMetrics
) -> None:
    clock.now = 10.0
    first = await status.report()
    metrics.applied.inc()
    clock.now = 10.9
    assert await status.report() is first
    clock.now = 11.0
    assert (await status.report())["responses"]["applied"] == 1.0


async def test_given_predictions_then_the_calibration_is_shown(status: Status) -> None:
    report = await status.report()

    bins = report["predictions"]["calibration"]
    assert bins == [{"answers": 10.0, "predicted": 0.25, "observed": 0.3}]
    assert report["predictions"]["ece"] is None


async def test_given_servers_away_then_what_they_tell_is_none() -> None:
    status = Status(
        registry=CollectorRegistry(),
        refresh=_fails,
        health=Health([], version="1.2.3"),
        calibration=list,
        dead_letters=_AwayTally.__new__(_AwayTally),
        parameters=_AwayLedger(),
    )

    report = await status.report()

    assert report["dead_letters"] is None
    assert report["parameters"] is None
    assert report["groups"] == []
