"""Counts of the engine, and gauges of the streams."""

from collections.abc import AsyncIterator
from typing import get_args

import fakeredis
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from workers.errors import RedisUnavailable, StreamRefused
from workers.meter import Meter, Stage
from workers.service.metrics import EngineMetrics
from workers.service.stream_gauges import StreamGauges

_LABELS = {"stream": "responses", "group": "engine"}


@pytest.fixture
async def client() -> AsyncIterator[Redis]:
    client = fakeredis.FakeAsyncRedis(version=(7, 0))
    yield client
    await client.aclose()


def _gauges(client: Redis) -> tuple[StreamGauges, CollectorRegistry]:
    registry = CollectorRegistry()
    gauges = StreamGauges(client, [("responses", "engine"), ("mastery", "graph")], ["rejected"])
    registry.register(gauges)
    return gauges, registry


def test_given_new_metrics_when_shown_then_every_label_is_there_with_zero() -> None:
    metrics: Meter = EngineMetrics("1.2.3")
    registry = EngineMetrics("1.2.3").registry

    assert isinstance(metrics, EngineMetrics)
    for code in RejectionCode:
        labels = {"code": code.value}
        assert registry.get_sample_value("mastery_responses_rejected_total", labels) == 0
    for stage in get_args(Stage):
        labels = {"stage": stage}
        assert registry.get_sample_value("mastery_batch_stage_seconds_count", labels) == 0
    for what in ("responses_applied", "responses_duplicate", "responses_late", "commit_conflicts"):
        assert registry.get_sample_value(f"mastery_{what}_total") == 0


def test_given_events_when_counted_then_the_numbers_rise() -> None:
    metrics = EngineMetrics("1")
    value = metrics.registry.get_sample_value

    metrics.rejected(RejectionCode.FORBIDDEN, 2)
    metrics.batch(500)
    metrics.conflicts.inc(3)

    assert value("mastery_responses_rejected_total", {"code": "forbidden"}) == 2
    assert value("mastery_batch_entries_sum") == 500
    assert value("mastery_batch_entries_bucket", {"le": "500.0"}) == 1
    assert value("mastery_batch_entries_bucket", {"le": "250.0"}) == 0
    assert value("mastery_commit_conflicts_total") == 3


def test_given_a_stage_that_fails_when_measured_then_its_time_counts() -> None:
    metrics = EngineMetrics("1")
    with pytest.raises(RuntimeError), metrics.stage("commit"):
        raise RuntimeError

    labels = {"stage": "commit"}
    assert metrics.registry.get_sample_value("mastery_batch_stage_seconds_count", labels) == 1


async def test_given_streams_when_refreshed_then_lag_pending_and_dead_letters_are_shown(
    client: Redis,
) -> None:
    for _ in range(5):
        await client.xadd("responses", {"event": "{}"})
    await client.xadd("rejected", {"event": "{}"})
    await client.xgroup_create("responses", "engine", id="0")
    await client.xreadgroup("engine", "c", {"responses": ">"}, count=2)
    gauges, registry = _gauges(client)

    await gauges.refresh()

    value = registry.get_sample_value
    assert value("mastery_stream_pending", _LABELS) == 2
    assert value("mastery_stream_lag", _LABELS) == 3
    assert value("mastery_stream_entries", {"stream": "responses"}) == 5
    assert value("mastery_stream_entries", {"stream": "mastery"}) == 0
    assert value("mastery_dead_letters", {"stream": "rejected"}) == 1
    assert value("mastery_stream_pending", {"stream": "mastery", "group": "graph"}) is None
    assert value("mastery_streams_up") == 1


async def test_given_redis_gone_when_refreshed_then_no_old_number_stays(client: Redis) -> None:
    await client.xadd("responses", {"event": "{}"})
    await client.xgroup_create("responses", "engine", id="0")
    gauges, registry = _gauges(client)
    await gauges.refresh()
    async with Redis.from_url("redis://127.0.0.1:1") as away:
        gauges._client = away

        with pytest.raises(RedisUnavailable):
            await gauges.refresh()

    assert registry.get_sample_value("mastery_streams_up") == 0
    assert registry.get_sample_value("mastery_stream_pending", _LABELS) is None
    assert registry.get_sample_value("mastery_stream_entries", {"stream": "responses"}) is None


async def test_given_a_key_that_is_no_stream_when_refreshed_then_it_is_refused(
    client: Redis,
) -> None:
    await client.set("responses", "text")
    gauges, _ = _gauges(client)

    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await gauges.refresh()
