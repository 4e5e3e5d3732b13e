"""Housekeeping: it goes on whatever happens, and tells who is about to lose something."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from workers.app.worker import bounds_of
from workers.common.errors import RedisUnavailable
from workers.config.loading import load_settings
from workers.streams.housekeeping import Housekeeping
from workers.streams.tries import tries_key
from workers.streams.trimming import Bounds, Trimmed, Trimmer

HOUR_MS = 3_600_000
MASTERY = Bounds("mastery", "graph", keep=10, retention_ms=HOUR_MS)


@pytest.fixture
async def client() -> AsyncIterator[Redis]:
    client = fakeredis.FakeAsyncRedis(version=(7,))
    yield client
    await client.aclose()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def housekeeping(
    trimmer: Trimmer, *bounds: Bounds, trimmed: Counter[str] | None = None, **options: Any
) -> Housekeeping:
    counted = Counter[str]() if trimmed is None else trimmed

    def count(stream: str, entries: int) -> None:
        counted[stream] += entries

    return Housekeeping(
        **{
            "trimmer": trimmer,
            "bounds": bounds,
            "consumer": "me",
            "reclaim_after_ms": 30_000,
            "trimmed": count,
            **options,
        }
    )


async def acked(client: Redis, stream: str, count: int) -> None:
    """A stream of which a group has acknowledged everything."""
    for _ in range(count):
        await client.xadd(stream, {"event": "x"})
    await client.xgroup_create(stream, "g", id="$")


async def old(client: Redis, count: int, age_ms: int) -> None:
    seconds, _ = await client.time()
    for number in range(count):
        await client.xadd("mastery", {"event": "x"}, id=f"{seconds * 1000 - age_ms}-{number}")


async def test_given_streams_when_swept_then_each_is_trimmed_counted_and_tidied(
    client: Redis,
) -> None:
    await acked(client, "a", 25)
    await acked(client, "b", 7)
    await client.xgroup_createconsumer("a", "g", "gone")
    await client.hset(tries_key("a"), mapping={"5-0": "1", "9999999999999-0": "1"})
    trimmed = Counter[str]()
    kept = housekeeping(
        Trimmer(client, portion=10),
        Bounds("a", "g"),
        Bounds("none", "g"),
        Bounds("b", "g"),
        trimmed=trimmed,
        reclaim_after_ms=1,
    )
    await asyncio.sleep(0.02)

    with capture_logs() as logs:
        await kept.sweep()

    assert trimmed == {"a": 25, "b": 7, "none": 0}
    assert (await client.xlen("a"), await client.xlen("b")) == (0, 0)
    assert await client.xinfo_consumers("a", "g") == []
    assert await client.hgetall(tries_key("a")) == {b"9999999999999-0": b"1"}
    assert [line["event"] for line in logs] == ["consumers_forgotten"]
    assert logs[0]["consumers"] == ["gone"]


async def test_given_entries_come_then_it_trims_soon_and_at_the_end(
    client: Redis,
) -> None:
    await acked(client, "a", 3)
    kept = housekeeping(Trimmer(client), Bounds("a", "g"), period_s=0.02)
    kept.start()
    async with asyncio.timeout(30):
        while await client.xlen("a"):
            await asyncio.sleep(0.01)
    slow = housekeeping(Trimmer(client), Bounds("a", "g"), period_s=1_000)
    slow.start()
    await kept.stop()
    await client.xadd("a", {"event": "x"})
    await client.xgroup_setid("a", "g", "$")
    await slow.stop()
    assert await client.xlen("a") == 0
    await client.xadd("a", {"event": "x"})
    await client.xgroup_setid("a", "g", "$")
    await asyncio.sleep(0.05)
    await slow.stop()
    assert await client.xlen("a") == 1


class AwayTrimmer(Trimmer):
    """Redis is away for some calls."""

    def __init__(self, client: Redis, calls: int) -> None:
        super().__init__(client)
        self.calls = calls

    async def trim(self, bounds: Bounds) -> Trimmed:
        self.calls -= 1
        if self.calls >= 0:
            raise RedisUnavailable("away")
        return await super().trim(bounds)


async def test_given_redis_away_when_running_then_it_goes_on_after_its_return(
    client: Redis,
) -> None:
    await acked(client, "a", 3)
    trimmer = AwayTrimmer(client, 3)
    kept = housekeeping(trimmer, Bounds("a", "g"), period_s=0.01)
    kept.start()
    async with asyncio.timeout(30):
        while await client.xlen("a"):
            await asyncio.sleep(0.01)
    await kept.stop()
    assert trimmer.calls < 0


async def test_given_redis_away_when_stopped_then_it_ends(client: Redis) -> None:
    kept = housekeeping(AwayTrimmer(client, 10), Bounds("a", "g"), period_s=1_000)
    kept.start()
    async with asyncio.timeout(30):
        await kept.stop()


class FrozenTrimmer(Trimmer):
    async def trim(self, bounds: Bounds) -> Trimmed:  # noqa: ARG002  # as its base
        await asyncio.Event().wait()
        raise AssertionError


async def test_given_frozen_redis_when_stopped_then_it_waits_two_seconds_at_most(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.streams.housekeeping._LAST_SWEEP_S", 0.05)
    kept = housekeeping(FrozenTrimmer(client), Bounds("a", "g"), period_s=0.01)
    kept.start()
    await asyncio.sleep(0.03)
    async with asyncio.timeout(30):
        await kept.stop()


async def test_given_a_troubled_stream_then_it_is_reported_once_and_others_go_on(
    client: Redis,
) -> None:
    await client.set("bad", "text")
    await acked(client, "good", 5)
    kept = housekeeping(Trimmer(client), Bounds("bad", "g"), Bounds("good", "g"))
    with capture_logs() as logs:
        await kept.sweep()
        await kept.sweep()
        await client.delete("bad")
        await kept.sweep()
        await client.set("bad", "text")
        await kept.sweep()
    assert await client.xlen("good") == 0
    assert [(line["event"], line["stream"]) for line in logs] == [
        ("housekeeping_failed", "bad")
    ] * 2


# Retention


async def test_given_a_group_past_half_of_retention_then_it_is_named_at_times(
    client: Redis,
) -> None:
    await old(client, 3, HOUR_MS * 6 // 10)
    await client.xgroup_create("mastery", "graph", id="0")
    await client.xgroup_create("mastery", "done", id="$")
    clock = Clock()
    kept = housekeeping(Trimmer(client), MASTERY, clock=clock)
    with capture_logs() as logs:
        await kept.sweep()
        await kept.sweep()
        clock.now += 601
        await kept.sweep()
    assert [line["event"] for line in logs] == ["retention_near"] * 2
    assert (logs[0]["stream"], logs[0]["group"]) == ("mastery", "graph")
    assert logs[0]["oldest_age_s"] == pytest.approx(2_160, abs=5)
    assert logs[0]["retention_s"] == 3_600


async def test_given_a_group_before_half_of_the_retention_then_nothing_is_said(
    client: Redis,
) -> None:
    await old(client, 30, HOUR_MS * 4 // 10)
    await client.xgroup_create("mastery", "graph", id="0")
    with capture_logs() as logs:
        await housekeeping(Trimmer(client), MASTERY).sweep()
    assert logs == []
    assert await client.xlen("mastery") == 30


async def test_given_unacked_entries_past_retention_then_their_group_is_named(
    client: Redis,
) -> None:
    await old(client, 230, 2 * HOUR_MS)
    await client.xgroup_create("mastery", "graph", id="0")
    await client.xgroup_create("mastery", "done", id="$")
    with capture_logs() as logs:
        await housekeeping(Trimmer(client, portion=100), MASTERY).sweep()
    assert await client.xlen("mastery") == 10
    assert [(line["event"], line["group"], line["trimmed"]) for line in logs] == [
        ("unacknowledged_entries_trimmed", "graph", 220)
    ]


async def test_given_a_stream_no_group_of_ours_reads_then_others_alone_count(
    client: Redis,
) -> None:
    bounds = Bounds("mastery", None, keep=10, retention_ms=HOUR_MS)
    await old(client, 150, 1_000)
    await client.xgroup_create("mastery", "foreign", id="0")
    await client.xreadgroup("foreign", "gone", {"mastery": ">"}, count=1)
    await housekeeping(Trimmer(client), bounds).sweep()
    assert await client.xlen("mastery") == 150, "what a group needs stays"

    await client.xgroup_destroy("mastery", "foreign")
    with capture_logs() as logs:
        await housekeeping(Trimmer(client, portion=100), bounds).sweep()

    assert await client.xlen("mastery") == 10
    assert logs == []


# What each stream keeps


def test_given_settings_then_rejections_and_responses_have_no_age_bound(
    tmp_path: Path,
) -> None:
    settings = load_settings(tmp_path, stream_shards=2, stream_keep=5, stream_retention_s=60)
    assert bounds_of(settings) == (
        Bounds("practice.responses.v1.{0}", "mastery-engine"),
        Bounds("practice.mastery.v1.{0}", "graph-projector", 5, 60_000),
        Bounds("practice.unlocked.v1.{0}", None, 5, 60_000),
        Bounds("practice.responses.v1.{1}", "mastery-engine"),
        Bounds("practice.mastery.v1.{1}", "graph-projector", 5, 60_000),
        Bounds("practice.unlocked.v1.{1}", None, 5, 60_000),
        Bounds("practice.jobs.v1", "mastery-jobs"),
    )
