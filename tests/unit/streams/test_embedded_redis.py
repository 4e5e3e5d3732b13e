import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from faststream import AckPolicy
from faststream.redis import StreamSub
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from workers.streams.embedded_redis import EmbeddedRedis

_WITHIN_S = 30.0
"""Limit on a busy machine for an act of milliseconds, seconds; far below a blocking read."""

ACK_AND_ADD = """
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 1 then
  redis.call('XADD', KEYS[2], '*', 'event', ARGV[3])
  return 1
end
return 0
"""


@pytest.fixture
async def redis() -> AsyncIterator[EmbeddedRedis]:
    store = EmbeddedRedis()
    yield store
    await store.close()


@pytest.fixture
async def client(redis: EmbeddedRedis) -> Any:
    # Any: redis-py's answers are unions of what its protocols and both clients return.
    client: Any = redis.client()
    await client.xgroup_create("s", "g", id="0", mkstream=True)
    return client


async def read(client: Any, consumer: str = "a", block: int | None = None, **more: Any) -> Any:
    return await client.xreadgroup("g", consumer, {"s": ">"}, count=500, block=block, **more)


async def delivered(client: Any, count: int, consumer: str = "a") -> list[bytes]:
    ids = [await client.xadd("s", {"event": f"{number}"}) for number in range(count)]
    await read(client, consumer)
    return ids


# Blocking


async def test_given_an_empty_stream_when_read_then_it_blocks_without_spinning(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, callbacks = asyncio.get_running_loop(), 0
    call_soon = loop.call_soon

    def counted(*arguments: Any, **options: Any) -> asyncio.Handle:
        nonlocal callbacks
        callbacks += 1
        return call_soon(*arguments, **options)

    monkeypatch.setattr(loop, "call_soon", counted)
    began = time.monotonic()
    async with asyncio.timeout(_WITHIN_S):
        assert not await read(client, block=400)
    assert time.monotonic() - began >= 0.39
    # A loop that spins calls back thousands of times meanwhile.
    assert 0 < callbacks < 100


async def test_given_an_empty_stream_read_without_block_then_it_answers_at_once(
    client: Any,
) -> None:
    async with asyncio.timeout(_WITHIN_S):
        assert not await read(client)


@pytest.mark.parametrize("by_script", [False, True])
async def test_given_a_blocked_reader_when_an_entry_comes_then_it_wakes_at_once(
    redis: EmbeddedRedis, client: Any, by_script: bool
) -> None:
    reading = asyncio.create_task(read(client, block=600_000))
    await asyncio.sleep(0.1)
    other: Any = redis.client()
    if by_script:
        await other.eval("return redis.call('XADD', KEYS[1], '*', 'event', 'x')", 1, "s")
    else:
        await other.xadd("s", {"event": "x"})
    async with asyncio.timeout(_WITHIN_S):
        [[stream, [(_, fields)]]] = await reading
    assert (stream, fields) == (b"s", {b"event": b"x"})


async def test_given_a_blocked_reader_when_another_key_changes_then_it_waits_on(
    redis: EmbeddedRedis, client: Any
) -> None:
    began = time.monotonic()
    reading = asyncio.create_task(read(client, block=500))
    await asyncio.sleep(0.1)
    await redis.client().xadd("another", {"event": "x"})
    assert not await reading
    assert time.monotonic() - began >= 0.49


async def test_given_two_blocked_readers_and_one_entry_then_one_of_them_gets_it(
    redis: EmbeddedRedis, client: Any
) -> None:
    readings = [asyncio.create_task(read(client, name, block=300)) for name in "ab"]
    await asyncio.sleep(0.1)
    await redis.client().xadd("s", {"event": "x"})
    answers = await asyncio.gather(*readings)
    assert sum(bool(answer) for answer in answers) == 1


async def test_given_a_cancelled_blocked_reader_then_the_next_entry_is_not_lost(
    client: Any,
) -> None:
    reading = asyncio.create_task(read(client, block=5_000))
    await asyncio.sleep(0.1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await client.xadd("s", {"event": "x"})
    await asyncio.sleep(0.1)
    assert (await client.xpending("s", "g"))["pending"] == 0
    assert len((await read(client, "b"))[0][1]) == 1


# The commands of the engine


async def test_given_a_group_when_created_again_then_it_is_busy(client: Any) -> None:
    with pytest.raises(ResponseError, match="BUSYGROUP"):
        await client.xgroup_create("s", "g", id="0", mkstream=True)


async def test_given_no_group_when_read_then_it_is_nogroup(client: Any) -> None:
    for stream, group in (("s", "none"), ("none", "g")):
        with pytest.raises(ResponseError, match=r"NOGROUP|requires the key to exist"):
            await client.xreadgroup(group, "a", {stream: ">"}, count=1)


async def test_given_a_key_of_another_type_when_added_to_then_it_is_wrongtype(client: Any) -> None:
    await client.set("text", "x")
    assert await client.type("text") == b"string"
    assert await client.type("s") == b"stream"
    assert await client.type("none") == b"none"
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await client.xadd("text", {"event": "x"})


async def test_given_a_group_at_0_when_read_then_what_was_before_it_is_delivered(
    client: Any,
) -> None:
    await client.xadd("early", {"event": b"\xff\x00"})
    await client.xgroup_create("early", "g", id="0")
    [[_, [(_, fields)]]] = await client.xreadgroup("g", "a", {"early": ">"}, count=10)
    assert fields == {b"event": b"\xff\x00"}


async def test_given_delivered_entries_when_acked_then_each_counts_once(client: Any) -> None:
    ids = await delivered(client, 3)
    assert await client.xack("s", "g", *ids[:2]) == 2
    assert await client.xack("s", "g", *ids) == 1
    assert await client.xlen("s") == 3


async def test_given_pending_entries_when_asked_then_summary_and_rows_agree(client: Any) -> None:
    began = time.time()
    ids = await delivered(client, 3)
    await client.xadd("s", {"event": "x"})
    [[_, [(last, _)]]] = await read(client, "b")
    assert await client.xpending("s", "g") == {
        "pending": 4,
        "min": ids[0],
        "max": last,
        "consumers": [{"name": b"a", "pending": 3}, {"name": b"b", "pending": 1}],
    }
    rows = await client.xpending_range("s", "g", min="-", max="+", count=2)
    assert [row["message_id"] for row in rows] == ids[:2]
    assert {row["consumer"] for row in rows} == {b"a"}
    assert {row["times_delivered"] for row in rows} == {1}
    within_ms = 1_000 * (time.time() - began) + 1
    assert all(0 <= row["time_since_delivered"] <= within_ms for row in rows)
    (row,) = await client.xpending_range("s", "g", min="-", max="+", count=9, consumername="b")
    assert row["message_id"] == last
    assert await client.xpending_range("s", "g", min="-", max="+", count=9, idle=60_000) == []


async def test_given_an_idle_consumer_when_claimed_from_then_tries_are_counted(
    client: Any,
) -> None:
    ids = await delivered(client, 3)
    await asyncio.sleep(0.05)
    following, claimed, _ = await client.xautoclaim("s", "g", "b", min_idle_time=10, count=2)
    assert [entry for entry, _ in claimed] == ids[:2]
    assert following == ids[2]
    following, claimed, _ = await client.xautoclaim(
        "s", "g", "b", min_idle_time=10, start_id=following, count=2
    )
    assert [entry for entry, _ in claimed] == ids[2:]
    assert following == b"0-0"
    rows = await client.xpending_range("s", "g", min="-", max="+", count=9)
    assert {(row["consumer"], row["times_delivered"]) for row in rows} == {(b"b", 2)}
    assert (await client.xautoclaim("s", "g", "c", min_idle_time=60_000))[1] == []


async def test_given_a_trimmed_entry_when_claimed_then_it_is_reported_as_deleted(
    client: Any,
) -> None:
    ids = await delivered(client, 2)
    await client.xdel("s", ids[0])
    await asyncio.sleep(0.02)
    _, claimed, deleted = await client.xautoclaim("s", "g", "b", min_idle_time=1)
    assert [entry for entry, _ in claimed] == [ids[1]]
    assert deleted == [ids[0]]
    assert (await client.xpending("s", "g"))["pending"] == 1


async def test_given_a_stream_when_described_then_the_numbers_are_right(client: Any) -> None:
    ids = await delivered(client, 2)
    last = await client.xadd("s", {"event": "x"})
    stream = await client.xinfo_stream("s")
    assert stream["length"] == 3
    assert stream["first-entry"][0] == ids[0]
    assert stream["last-generated-id"] == last
    (group,) = await client.xinfo_groups("s")
    assert (group["name"], group["pending"], group["consumers"]) == (b"g", 2, 1)
    assert (group["last-delivered-id"], group["lag"]) == (ids[1], 1)
    (consumer,) = await client.xinfo_consumers("s", "g")
    assert (consumer["name"], consumer["pending"]) == (b"a", 2)
    assert consumer["idle"] >= 0
    assert await client.xgroup_delconsumer("s", "g", "a") == 2
    assert await client.xinfo_consumers("s", "g") == []
    with pytest.raises(ResponseError, match="no such key"):
        await client.xinfo_groups("none")


async def test_given_entries_when_trimmed_and_deleted_then_the_others_stay(client: Any) -> None:
    ids = [await client.xadd("s", {"event": "x"}) for _ in range(5)]
    assert await client.xtrim("s", minid=ids[2], approximate=False) == 2
    assert await client.xdel("s", ids[3], "1-1") == 1
    assert [entry for entry, _ in await client.xrange("s")] == [ids[2], ids[4]]
    assert [e for e, _ in await client.xrange("s", min=b"(" + ids[2], count=1)] == [ids[4]]
    assert [e for e, _ in await client.xrevrange("s", count=1)] == [ids[4]]


async def test_given_a_hash_when_counted_up_then_fields_come_and_go(client: Any) -> None:
    assert await client.hincrby("h", "1-1", 1) == 1
    assert await client.hincrby("h", "1-1", 2) == 3
    assert await client.hgetall("h") == {b"1-1": b"3"}
    assert await client.hdel("h", "1-1", "2-2") == 1
    assert await client.exists("h") == 0


async def test_given_a_subscriber_when_published_then_it_is_told(
    redis: EmbeddedRedis, client: Any
) -> None:
    pubsub: Any = redis.client().pubsub()
    await pubsub.subscribe("job_progress:1")
    assert (await pubsub.get_message(timeout=1))["type"] == "subscribe"
    assert await client.publish("job_progress:1", "half") == 1
    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1)
    assert message["data"] == b"half"
    await pubsub.aclose()


async def test_given_a_script_when_run_twice_for_an_entry_then_it_publishes_once(
    redis: EmbeddedRedis, client: Any
) -> None:
    (entry,) = await delivered(client, 1)
    script = redis.client().register_script(ACK_AND_ADD)
    arguments: list[Any] = ["g", entry, b"\xe2\x82\xac\x00"]
    assert await script(keys=["s", "out"], args=arguments) == 1
    assert await script(keys=["s", "out"], args=arguments) == 0
    assert [fields for _, fields in await client.xrange("out")] == [{b"event": b"\xe2\x82\xac\x00"}]


async def test_given_a_script_that_replies_an_error_when_run_then_it_is_raised(
    client: Any,
) -> None:
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await client.eval("return redis.error_reply('WRONGTYPE of ' .. KEYS[1])", 1, "s")


@pytest.mark.parametrize("transaction", [True, False])
async def test_given_a_pipeline_when_one_command_fails_then_the_others_count(
    client: Any, transaction: bool
) -> None:
    async with client.pipeline(transaction=transaction) as pipeline:
        pipeline.xadd("out", {"event": "x"})
        pipeline.hincrby("out", "field", 1)
        pipeline.xlen("out")
        answers = await pipeline.execute(raise_on_error=False)
    assert isinstance(answers[1], ResponseError)
    assert answers[2] == 1


# The store


async def test_given_two_stores_when_one_is_written_then_the_other_is_empty() -> None:
    first, two = EmbeddedRedis(), EmbeddedRedis()
    await first.client().set("key", "1")
    assert await first.client(decode_responses=True).get("key") == "1"
    assert await two.client().get("key") is None
    await first.close()
    await two.close()


async def test_given_a_broker_when_started_then_its_handler_gets_client_entries(
    redis: EmbeddedRedis, client: Any
) -> None:
    broker = redis.broker(logger=None)
    got: asyncio.Queue[Any] = asyncio.Queue()

    @broker.subscriber(
        stream=StreamSub("s", group="g", consumer="a", max_records=10, polling_interval=100),
        ack_policy=AckPolicy.MANUAL,
    )
    async def handle(message: Any) -> None:
        await got.put(message)

    await broker.start()
    try:
        assert await broker.ping(timeout=1)
        await client.xadd("s", {"data": '{"n": 1}'})
        assert await asyncio.wait_for(got.get(), _WITHIN_S) == {"n": 1}
    finally:
        await broker.stop()
    assert (await client.xpending("s", "g"))["pending"] == 1
    assert isinstance(redis.client(), Redis)


async def test_given_a_stopped_broker_when_started_again_then_it_works_as_before(
    redis: EmbeddedRedis, client: Any
) -> None:
    broker = redis.broker(logger=None)
    for _ in range(2):
        await broker.start()
        assert await broker.ping(timeout=1)
        await broker.stop()
    assert await client.ping()
