"""Counts of the engine, and gauges of the streams."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, get_args

import fakeredis
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from workers.common.errors import RedisUnavailable, StreamRefused
from workers.metrics.engine_metrics import EngineMetrics
from workers.metrics.health import Check, Health
from workers.metrics.meter import Meter, Stage
from workers.metrics.readiness_gauge import ReadinessGauge
from workers.metrics.shared_refresh import SharedRefresh
from workers.metrics.stream_gauges import StreamGauges
from workers.streams.trimming import Bounds

_LABELS = {"stream": "responses", "group": "engine"}


@pytest.fixture
async def client() -> AsyncIterator[Redis]:
    client = fakeredis.FakeAsyncRedis(version=(7, 0))
    yield client
    await client.aclose()


def _gauges(client: Redis) -> tuple[StreamGauges, CollectorRegistry]:
    registry = CollectorRegistry()
    gauges = StreamGauges(
        client,
        [Bounds("responses", "engine"), Bounds("mastery", "graph", 10, 60_000)],
        ["rejected"],
    )
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


async def test_given_streams_then_lag_pending_and_dead_letters_are_shown(
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


async def _aged(client: Redis, stream: str, *ages_s: float) -> list[str]:
    """Entries that were added so long ago; returns their ids."""
    seconds, _ = await client.time()
    ids = [f"{int((seconds - age_s) * 1000)}-0" for age_s in ages_s]
    for entry_id in ids:
        await client.xadd(stream, {"event": "{}"}, id=entry_id)
    return ids


async def test_given_groups_then_each_shows_the_age_of_its_oldest_unacked_entry(
    client: Redis,
) -> None:
    ids = await _aged(client, "mastery", 900, 600, 300)
    for name in ("graph", "foreign", "done"):
        await client.xgroup_create("mastery", name, id="0")
    await client.xreadgroup("graph", "c", {"mastery": ">"}, count=2)
    await client.xack("mastery", "graph", ids[0])
    await client.xreadgroup("foreign", "c", {"mastery": ">"}, count=2, noack=True)
    await client.xreadgroup("done", "c", {"mastery": ">"}, noack=True)
    gauges, registry = _gauges(client)

    await gauges.refresh()

    def age_s(group: str) -> float | None:
        labels = {"stream": "mastery", "group": group}
        return registry.get_sample_value("mastery_stream_oldest_age_seconds", labels)

    assert age_s("graph") == pytest.approx(600, abs=5)
    assert age_s("foreign") == pytest.approx(300, abs=5)
    assert age_s("done") == 0
    value = registry.get_sample_value
    assert value("mastery_stream_retention_seconds", {"stream": "mastery"}) == 60
    assert value("mastery_stream_retention_seconds", {"stream": "responses"}) is None


async def test_given_a_deleted_entry_still_pending_then_its_age_counts_nothing(
    client: Redis,
) -> None:
    ids = await _aged(client, "responses", 900, 300)
    await client.xgroup_create("responses", "engine", id="0")
    await client.xreadgroup("engine", "c", {"responses": ">"})
    await client.xdel("responses", ids[0])
    gauges, registry = _gauges(client)
    await gauges.refresh()
    age = registry.get_sample_value("mastery_stream_oldest_age_seconds", _LABELS)
    assert age == pytest.approx(300, abs=5)
    await client.xdel("responses", ids[1])
    await gauges.refresh()
    assert registry.get_sample_value("mastery_stream_oldest_age_seconds", _LABELS) == 0


async def test_given_a_group_deleted_meanwhile_then_the_others_are_shown(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.xadd("responses", {"event": "{}"})
    for name in ("engine", "other"):
        await client.xgroup_create("responses", name, id="0")
    gauges, registry = _gauges(client)
    ages = gauges._ages

    async def destroyed(*args: Any) -> Any:
        await client.xgroup_destroy("responses", "other")
        return await ages(*args)

    monkeypatch.setattr(gauges, "_ages", destroyed)
    await gauges.refresh()
    assert registry.get_sample_value("mastery_stream_lag", _LABELS) == 1
    other = {"stream": "responses", "group": "other"}
    assert registry.get_sample_value("mastery_stream_lag", other) is None
    assert registry.get_sample_value("mastery_streams_up") == 1


def test_given_trimmed_entries_then_each_stream_has_its_count() -> None:
    metrics = EngineMetrics("1")
    metrics.trimmed("a", 0)
    metrics.trimmed("b", 5)
    value = metrics.registry.get_sample_value
    assert value("mastery_stream_trimmed_total", {"stream": "a"}) == 0
    assert value("mastery_stream_trimmed_total", {"stream": "b"}) == 5


async def test_given_an_absent_part_then_readiness_and_the_part_are_shown() -> None:
    away = {"graph": False, "ledger": False}

    def probe(name: str) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            if away[name]:
                raise RedisUnavailable("away")

        return ask

    checks = [Check("ledger", probe("ledger")), Check("graph", probe("graph"), required=False)]
    gauge = ReadinessGauge(Health(checks, version="1", cache_s=0))
    registry = CollectorRegistry()
    registry.register(gauge)
    value = registry.get_sample_value
    assert value("mastery_ready") == 0

    await gauge.refresh()
    assert (value("mastery_ready"), value("mastery_part_up", {"part": "ledger"})) == (1, 1)
    away["graph"] = True
    await gauge.refresh()
    assert (value("mastery_ready"), value("mastery_part_up", {"part": "graph"})) == (1, 0)
    away["ledger"] = True
    await gauge.refresh()
    assert (value("mastery_ready"), value("mastery_part_up", {"part": "ledger"})) == (0, 0)


async def test_given_a_refresh_in_progress_when_scraped_then_earlier_values_show(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.xadd("responses", {"event": "{}"})
    await client.xgroup_create("responses", "engine", id="0")
    gauges, registry = _gauges(client)
    readiness = ReadinessGauge(Health([], version="1", cache_s=0))
    registry.register(readiness)
    await asyncio.gather(gauges.refresh(), readiness.refresh())
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> Any:
        reached.set()
        await go_on.wait()

    monkeypatch.setattr(gauges, "_look", wait)
    monkeypatch.setattr(readiness._health, "report", wait)
    value = registry.get_sample_value
    refreshing = asyncio.gather(gauges.refresh(), readiness.refresh())
    await asyncio.wait_for(reached.wait(), 30)
    await asyncio.sleep(0)
    assert (value("mastery_streams_up"), value("mastery_ready")) == (1, 1)
    assert value("mastery_stream_lag", _LABELS) == 1
    refreshing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await refreshing
    # Given up, nothing is known any more.
    assert (value("mastery_streams_up"), value("mastery_ready")) == (0, 0)
    assert value("mastery_stream_lag", _LABELS) is None


async def test_given_many_scrapes_then_one_refresh_serves_all_for_a_while() -> None:
    now, asked = [100.0], {"good": 0, "bad": 0}

    async def good() -> None:
        asked["good"] += 1
        await asyncio.sleep(0)

    async def bad() -> None:
        asked["bad"] += 1
        if asked["bad"] == 1:
            raise RedisUnavailable("away")

    refreshing = SharedRefresh([bad, good], clock=lambda: now[0])
    results = await asyncio.gather(
        *(refreshing.refresh() for _ in range(5)), return_exceptions=True
    )
    assert [type(error) for error in results] == [RedisUnavailable] * 5
    assert asked == {"good": 1, "bad": 1}
    now[0] += 1.0
    await asyncio.gather(*(refreshing.refresh() for _ in range(5)))
    assert asked == {"good": 2, "bad": 2}
