"""Raw batches: whatever bytes an entry holds, the handler gets them as they are."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from faststream.redis import RedisBroker, TestRedisBroker
from faststream.redis.subscriber.usecases import StreamBatchSubscriber
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts import MasteryChanged, ResponseRecorded
from workers.streams.batch import RawBatch, RawEntry, decode, parse, raw_batch_of
from workers.streams.subscribers import declare

_STREAM = "practice.responses.v1"

_HOSTILE = {
    "plain": {b"event": b'{"specversion":"1.0"}'},
    "not JSON": {b"event": b"{"},
    "not UTF-8": {b"event": b"\xff\xfe\x00"},
    "NUL": {b"event": b'{"a":"\\u0000"}\x00'},
    "no such field": {b"other": b"1"},
    "no field at all": {},
    "10 MB": {b"event": b"x" * 10_000_000},
    "an envelope of the library": {
        b"__data__": b"\x89BIN\x0d\x0a\x1a\x0a\x00\x01\x00\x00\x00\x12\x00\x00\x00\x00"
    },
    "a broken envelope": {b"__data__": b"\x89BIN\x0d\x0a\x1a\x0a"},
    "JSON that looks like an envelope": {
        b"event": b'{"data":"{}","headers":{"reply_to":"elsewhere","correlation_id":"x"}}'
    },
    "both": {b"__data__": b'{"data":"1","headers":{}}', b"event": b"{}"},
}


def _message(entries: list[dict[bytes, bytes]], ids: list[Any] | None = None) -> Any:
    ids = ids if ids is not None else [b"1-%d" % n for n in range(len(entries))]
    return {"type": "bstream", "channel": _STREAM, "data": entries, "message_ids": ids}


async def _handed_over(message: Any) -> RawBatch:
    return await decode(await parse(message))


@pytest.fixture
async def received() -> list[RawBatch]:
    return []


@pytest.fixture
async def subscriber(received: list[RawBatch]) -> AsyncIterator[StreamBatchSubscriber]:
    """A started subscriber whose broker has no server."""

    async def keep(batch: RawBatch) -> None:
        received.append(batch)

    broker = RedisBroker("redis://127.0.0.1:1")
    subscriber = declare(
        broker,
        stream=_STREAM,
        group="g",
        consumer="c",
        batch_size=10,
        event=ResponseRecorded,
        handler=keep,
        title="t",
        description="d",
    )
    async with TestRedisBroker(broker):
        yield subscriber


@pytest.mark.parametrize("kind", _HOSTILE)
async def test_given_any_entry_when_parsed_then_it_is_handed_over_unchanged(
    kind: str,
) -> None:
    fields = _HOSTILE[kind]

    batch = await _handed_over(_message([{b"event": b"{}"}, fields], [b"7-0", b"7-1"]))

    assert batch.stream == _STREAM
    assert batch == [RawEntry("7-0", {b"event": b"{}"}), RawEntry("7-1", fields)]


@given(st.lists(st.dictionaries(st.binary(max_size=20), st.binary(max_size=50), max_size=3)))
async def test_given_random_bytes_when_a_batch_is_parsed_then_no_byte_changes(
    entries: list[dict[bytes, bytes]],
) -> None:
    batch = await _handed_over(_message(entries))

    assert [entry.fields for entry in batch] == entries


async def test_given_an_envelope_look_alike_then_none_of_its_headers_is_trusted() -> None:
    message = await parse(_message([_HOSTILE["JSON that looks like an envelope"]]))

    assert message.reply_to == ""
    assert message.headers == {}
    assert message.correlation_id == f"{_STREAM}/1-0"


async def test_given_a_deleted_entry_when_claimed_then_it_has_no_fields() -> None:
    entries: list[Any] = [None]

    assert await _handed_over(_message(entries)) == [RawEntry("1-0", {})]


async def test_given_ids_as_text_when_parsed_then_they_stay_text() -> None:
    assert (await _handed_over(_message([{}], ["5-0"])))[0].entry_id == "5-0"


async def test_given_no_entries_when_parsed_then_the_batch_is_empty() -> None:
    batch = await _handed_over(_message([]))

    assert batch == []
    assert batch.stream == _STREAM


@pytest.mark.parametrize("kind", _HOSTILE)
async def test_given_any_entry_when_fed_to_consume_then_the_handler_gets_it_raw(
    kind: str, subscriber: StreamBatchSubscriber, received: list[RawBatch]
) -> None:
    await subscriber.consume(_message([_HOSTILE[kind], {b"event": b"{}"}], [b"1-0", b"2-0"]))

    (batch,) = received
    assert isinstance(batch, RawBatch)
    assert batch.stream == _STREAM
    assert batch == [RawEntry("1-0", _HOSTILE[kind]), RawEntry("2-0", {b"event": b"{}"})]


async def test_given_the_subscriber_then_it_reads_bounded_batches_of_new_entries(
    subscriber: StreamBatchSubscriber,
) -> None:
    stream = subscriber.stream_sub

    assert (stream.name, stream.group, stream.consumer) == (_STREAM, "g", "c")
    assert stream.batch is True
    assert stream.max_records == 10
    assert stream.last_id == ">"
    assert 100 <= (stream.polling_interval or 0) <= 1000


def test_given_a_raw_batch_when_documented_then_the_schema_is_of_one_event() -> None:
    schema = TypeAdapter(raw_batch_of(ResponseRecorded)).json_schema()

    assert schema["type"] == "object"
    assert re.search(schema["properties"]["type"]["pattern"], "practice.response.recorded.v1")
    own = ResponseRecorded.model_json_schema()
    assert json.dumps(schema["properties"]) == json.dumps(own["properties"])
    assert schema["$defs"] == own["$defs"]


def test_given_two_events_when_typed_then_each_documents_its_own() -> None:
    assert raw_batch_of(ResponseRecorded) is raw_batch_of(ResponseRecorded)
    assert raw_batch_of(MasteryChanged).documents is MasteryChanged
    assert TypeAdapter(RawBatch).json_schema() == {}
