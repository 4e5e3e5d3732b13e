"""The publishers of the Python client on a real Redis, plain and asyncio."""

import json
from typing import Any

import pytest
from redis import Redis as PlainRedis
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from contracts import ResponseRecorded
from contracts import client as plain
from contracts.client import Published, response_recorded
from contracts.client import asyncio as aio
from contracts.streams import RESPONSES
from tests.support.factories import claims, response
from tests.support.python_client import Form


def _event(student_id: str = "student-42", number: int = 0) -> ResponseRecorded:
    answer = response(student_id, number)
    return response_recorded(answer, claims=claims(student_id), source="/tests")


async def _publish(
    form: Form, redis: Redis, url: str, events: list[ResponseRecorded], shards: int = 0
) -> list[Published]:
    if form == "asyncio":
        publisher = aio.Publisher(redis, shards=shards)
        one = await publisher.publish(events[0])
        return [one, *await publisher.publish_all(events[1:])]
    with PlainRedis.from_url(url) as client:
        plainly = plain.Publisher(client, shards=shards)
        return [plainly.publish(events[0]), *plainly.publish_all(events[1:])]


async def test_given_events_then_each_entry_has_the_one_field_event(
    form: Form, redis: Redis, redis_url: str
) -> None:
    events = [_event(number=number) for number in range(3)]
    published = await _publish(form, redis, redis_url, events)

    entries: Any = await redis.xrange(RESPONSES)
    assert [(entry.stream, entry.entry_id) for entry in published] == [
        (RESPONSES, id_.decode()) for id_, _ in entries
    ]
    assert all(list(fields) == [b"event"] for _, fields in entries)
    assert [ResponseRecorded.model_validate_json(f[b"event"]) for _, f in entries] == events
    assert json.loads(entries[0][1][b"event"])["type"] == "practice.response.recorded.v1"


async def test_given_shards_then_each_event_is_in_its_learners_stream(
    form: Form, redis: Redis, redis_url: str
) -> None:
    events = [_event(f"student-{n}") for n in range(8)]
    published = await _publish(form, redis, redis_url, events, shards=4)

    assert len({entry.stream for entry in published}) > 1
    for event, entry in zip(events, published, strict=True):
        k = plain.shard_of("school-7", event.data.response.student_id, 4)
        assert entry.stream == f"{RESPONSES}.{{{k}}}"


async def test_given_a_refusal_within_a_batch_then_it_is_raised(
    form: Form, redis: Redis, redis_url: str
) -> None:
    await redis.set(RESPONSES, "no stream")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await _publish(form, redis, redis_url, [_event(), _event(number=1)])
