"""`subscribe` of the Python client on a real Redis, plain and asyncio."""

import asyncio
import json
from typing import Any

import pytest
from pydantic_core import to_json
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from contracts import MasteryChanged
from contracts.client import Failure, UnreadableEventError, newest_only
from contracts.client.replies import text
from contracts.streams import MASTERY
from tests.support.python_client import Form, subscribed
from workers.reference.examples import EXAMPLES


def change(version: int = 1, **data: Any) -> bytes:
    example = EXAMPLES[MasteryChanged.TYPE]
    return to_json({**example, "data": {**example["data"], "version": version, **data}})


async def tell(redis: Redis, versions: list[int], stream: str = MASTERY, **data: Any) -> list[str]:
    ids = [await redis.xadd(stream, {"event": change(v, **data)}) for v in versions]
    return [text(id_) for id_ in ids]


async def pending(redis: Redis, stream: str = MASTERY) -> int:
    summary: Any = await redis.xpending(stream, "reports")
    return int(summary["pending"])


async def test_given_kept_events_then_each_is_handled_and_acknowledged(
    form: Form, redis: Redis, redis_url: str
) -> None:
    ids = await tell(redis, [1, 2, 3])
    async with subscribed(form, redis_url, batch_size=2) as run:
        await run.until(lambda: len(run.events) == 3)
        ids += await tell(redis, [4])
        await run.until(lambda: len(run.events) == 4)
    assert run.versions == [1, 2, 3, 4]
    assert [delivery.entry_id for delivery in run.deliveries] == ids
    assert await pending(redis) == 0


async def test_given_a_new_group_at_the_end_then_it_begins_with_what_comes(
    form: Form, redis: Redis, redis_url: str
) -> None:
    await tell(redis, [1])
    async with subscribed(form, redis_url, start_at="$") as run:
        await _group_exists(redis)
        await tell(redis, [2])
        await run.until(lambda: bool(run.events))
    assert run.versions == [2]


async def test_given_positions_then_a_new_group_begins_after_them(
    form: Form, redis: Redis, redis_url: str
) -> None:
    _, second, _ = await tell(redis, [1, 2, 3])
    async with subscribed(form, redis_url, start_at={MASTERY: second}) as run:
        await run.until(lambda: bool(run.events))
        await redis.xgroup_destroy(MASTERY, "reports")
        await tell(redis, [4])
        await run.until(lambda: 4 in run.versions)
    # A group that is made again begins there again: twice rather than never.
    assert run.versions == [3, 3, 4]
    assert "NOGROUP" in str(run.disturbances[0]) or "UNBLOCKED" in str(run.disturbances[0])


async def test_given_a_restart_then_it_takes_up_what_it_left(
    form: Form, redis: Redis, redis_url: str
) -> None:
    await tell(redis, [1, 2])
    await redis.xgroup_create(MASTERY, "reports", "0")
    await redis.xreadgroup("reports", "reports-0", {MASTERY: ">"})
    async with subscribed(form, redis_url) as run:
        await run.until(lambda: len(run.events) == 2)
    assert run.versions == [1, 2]
    assert await pending(redis) == 0


async def test_given_a_dead_consumer_then_another_claims_its_events(
    form: Form, redis: Redis, redis_url: str
) -> None:
    await tell(redis, [1, 2])
    await redis.xgroup_create(MASTERY, "reports", "0")
    await redis.xreadgroup("reports", "dead", {MASTERY: ">"})
    async with subscribed(form, redis_url, claim_after_s=0.2) as run:
        await run.until(lambda: len(run.events) == 2)
    assert run.versions == [1, 2]


async def test_given_a_failing_handler_then_the_event_comes_again(
    form: Form, redis: Redis, redis_url: str
) -> None:
    await tell(redis, [1, 2])
    failures: list[Failure[MasteryChanged]] = []

    def handle(event: MasteryChanged) -> None:
        if event.data.version == 1 and len(failures) < 2:
            raise OSError("the table is away")

    def judge(failure: Failure[MasteryChanged]) -> str:
        failures.append(failure)
        return "retry"

    async with subscribed(
        form, redis_url, handle=handle, on_failure=judge, claim_after_s=0.2
    ) as run:
        await run.until(lambda: len(run.events) == 2)
    assert run.versions == [2, 1]
    assert [failure.deliveries for failure in failures] == [1, 2]
    assert str(failures[0].error) == "the table is away"
    assert run.disturbances == []


async def test_given_no_valid_event_then_its_text_is_reported_and_dropped(
    form: Form, redis: Redis, redis_url: str
) -> None:
    texts = ["{", json.dumps({"type": "practice.concept.unlocked.v1"})]
    for wrong in texts:
        await redis.xadd(MASTERY, {"event": wrong})
    await redis.xadd(MASTERY, {"other": "field"})
    await redis.xadd(MASTERY, {"event": change(-1)})
    await tell(redis, [1])
    errors: list[Exception] = []

    def judge(failure: Failure[MasteryChanged]) -> str:
        errors.append(failure.error)
        return "drop"

    async with subscribed(form, redis_url, on_failure=judge) as run:
        await run.until(lambda: bool(run.events))
    assert all(isinstance(error, UnreadableEventError) for error in errors)
    assert "version" in str(errors.pop())
    assert [str(error) for error in errors] == [
        "the event is not a practice.mastery.changed.v1",
        "the event is not a practice.mastery.changed.v1",
        "there is no field `event`",
    ]
    found = [error.text for error in errors if isinstance(error, UnreadableEventError)]
    assert found == [*(wrong.encode() for wrong in texts), None]
    assert await pending(redis) == 0


async def test_given_a_judge_that_raises_then_the_subscription_ends(
    form: Form, redis: Redis, redis_url: str
) -> None:
    await redis.xadd(MASTERY, {"event": "{"})

    def judge(_: Failure[MasteryChanged]) -> str:
        raise ConnectionError("enough")

    with pytest.raises(ConnectionError, match="enough"):
        async with subscribed(form, redis_url, on_failure=judge) as run:
            await run.until(lambda: False)
    assert run.disturbances == []


async def test_given_an_entry_trimmed_before_its_ack_then_it_is_let_go(
    form: Form, redis: Redis, redis_url: str
) -> None:
    await tell(redis, [1, 2])
    await redis.xgroup_create(MASTERY, "reports", "0")
    await redis.xreadgroup("reports", "reports-0", {MASTERY: ">"}, count=1)
    await redis.xtrim(MASTERY, maxlen=1, approximate=False)
    async with subscribed(form, redis_url) as run:
        await run.until(lambda: bool(run.events))
    assert run.versions == [2]
    assert await pending(redis) == 0


async def test_given_shards_then_all_are_read_each_in_its_order(
    form: Form, redis: Redis, redis_url: str
) -> None:
    for k in range(3):
        await tell(redis, [10 * k + 1, 10 * k + 2], f"{MASTERY}.{{{k}}}")
    async with subscribed(form, redis_url, shards=3) as run:
        await run.until(lambda: len(run.events) == 6)
    for k in range(3):
        of_shard = [version for version in run.versions if version // 10 == k]
        assert of_shard == [10 * k + 1, 10 * k + 2]


async def test_given_what_no_waiting_cures_then_it_ends_all_shards(
    form: Form, redis: Redis, redis_url: str
) -> None:
    await redis.set(f"{MASTERY}.{{1}}", "no stream")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        async with subscribed(form, redis_url, shards=2) as run:
            await run.until(lambda: False)


async def test_given_cut_connections_then_they_are_made_again(
    form: Form, redis: Redis, redis_url: str
) -> None:
    async with subscribed(form, redis_url) as run:
        await _group_exists(redis)
        for version in (1, 2):
            server: Any = redis
            for client in await server.client_list():
                if client["cmd"] == "xreadgroup" and f"db={client['db']}" == _db(redis_url):
                    await server.client_kill_filter(_id=client["id"])
            await tell(redis, [version])
            await run.until(lambda wanted=version: wanted in run.versions)  # type: ignore[misc]
    assert sorted(set(run.versions)) == [1, 2]


async def test_given_a_stop_then_the_event_in_hand_is_handled_to_its_end(
    form: Form, redis: Redis, redis_url: str
) -> None:
    await tell(redis, [1, 2])
    async with subscribed(form, redis_url, handle=lambda _: run._stop()) as run:
        await run.until(lambda: bool(run.events))
    assert run.versions == [1]
    # The other one waits for this consumer.
    assert await pending(redis) == 1


async def test_given_cancellation_then_nothing_is_lost(redis: Redis, redis_url: str) -> None:
    async with subscribed("asyncio", redis_url) as run:
        await _group_exists(redis)
        await asyncio.sleep(0.05)
        assert run._ended is not None
        run._ended.cancel()
        await asyncio.wait((run._ended,))
        assert run._ended.cancelled()
        run._ended = asyncio.get_running_loop().create_future()
        run._ended.set_result(None)
    await tell(redis, [1])
    async with subscribed("asyncio", redis_url) as run:
        await run.until(lambda: bool(run.events))
    assert run.versions == [1]


async def test_given_older_versions_then_the_filter_skips_them(
    redis: Redis, redis_url: str
) -> None:
    for student, version in (("a", 5), ("a", 5), ("b", 1), ("a", 4), ("a", 7)):
        await tell(redis, [version], student_id=student)
    handled: list[tuple[str, int]] = []
    handle = newest_only(
        lambda event, _: handled.append((event.data.student_id, event.data.version))
    )
    async with subscribed("plain", redis_url) as run:
        await run.until(lambda: len(run.events) == 5)
    for event, delivery in zip(run.events, run.deliveries, strict=True):
        handle(event, delivery)
    assert handled == [("a", 5), ("b", 1), ("a", 7)]


async def _group_exists(redis: Redis) -> None:
    while not (await redis.exists(MASTERY) and await redis.xinfo_groups(MASTERY)):
        await asyncio.sleep(0.01)


def _db(url: str) -> str:
    return f"db={url.rsplit('/', 1)[1]}"
