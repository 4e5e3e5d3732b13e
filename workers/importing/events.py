"""Convert responses to events and publish them on their streams, as Express does."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import orjson
from redis.asyncio import Redis

from contracts.responses import ResponseRecorded
from contracts.streams import EVENT_FIELD, shard_of, shards
from workers.importing.delegate import Delegate
from workers.streams.redis_errors import redis_errors

SOURCE: Final = "/mastery-engine/publishing"

_EVENT_IDS: Final = UUID("2b9d6f6e-0f5b-5f0c-9c65-6f1a7d7c8e21")
_PIPELINE: Final = 1_000
"""Entries added in one round trip."""


class Entry(NamedTuple):
    """An event and its stream."""

    stream: str
    event: bytes


def entries(
    responses: Iterable[Mapping[str, object]], delegate: Delegate, shard_count: int = 0
) -> Iterator[Entry]:
    """Make the `practice.response.recorded.v1` events of responses, lazily and in their order.

    An event's id depends on tenant, student and response, so that a repeat is recognisable.

    Args:
        responses: the content of `data.response`; aware datetimes are allowed.
        delegate: the reporter.
        shard_count: `STREAM_SHARDS`.
    """
    streams = [shard.responses for shard in shards(shard_count)]
    # Equal in all events, so encoded once.
    claims, tenant = orjson.Fragment(orjson.dumps(delegate.claims())), delegate.tenant
    token = delegate.token()
    identity = {"claims": claims} if token is None else {"claims": claims, "token": token}
    envelope = {
        "specversion": "1.0",
        "source": SOURCE,
        "type": ResponseRecorded.TYPE,
        "time": delegate.issued_at,
        "datacontenttype": "application/json",
    }
    for response in responses:
        student = str(response["student_id"])
        name = "\x1f".join((tenant, student, str(response["response_id"])))
        event: dict[str, Any] = {
            **envelope,
            "id": str(uuid5(_EVENT_IDS, name)),
            "subject": student,
            "data": {**identity, "response": response},
        }
        yield Entry(
            streams[shard_of(tenant, student, shard_count)],
            orjson.dumps(event, option=orjson.OPT_UTC_Z),
        )


async def publish(
    client: Redis, batch: Iterable[Entry], progress: Callable[[int], None] | None = None
) -> int:
    """Add entries to their streams, in order, 1,000 in a round trip, and return their number.

    After an error the entries of the last round trip may have been added or not: publish them
    again; repeats count once.

    Args:
        client: a connection to the Redis of the streams.
        batch: the entries, read as they are sent.
        progress: called with the number of entries added since the last call.

    Raises:
        RedisUnavailable: Redis is away.
        StreamRefused: Redis answers, but refuses.
    """
    waiting, total = iter(batch), 0
    while chunk := list(islice(waiting, _PIPELINE)):
        with redis_errors():
            async with client.pipeline(transaction=False) as pipeline:
                for entry in chunk:
                    pipeline.xadd(entry.stream, {EVENT_FIELD: entry.event})
                await pipeline.execute()
        total += len(chunk)
        if progress is not None:
            progress(len(chunk))
    return total
