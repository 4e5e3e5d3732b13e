"""Declare FastStream's subscribers so that they lose no entry, and create their groups."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from faststream import AckPolicy
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.subscriber.usecases import StreamBatchSubscriber
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from contracts.envelope import CloudEvent
from workers.streams.batch import RawBatch, decode, parse, raw_batch_of
from workers.streams.redis_errors import redis_errors

POLLING_MS = 500
"""Longest time one XREADGROUP blocks, milliseconds; far below redis-py's socket timeout of 5 s."""

Handler = Callable[[RawBatch], Awaitable[None]]


def declare(
    broker: RedisBroker,
    *,
    stream: str,
    group: str,
    consumer: str,
    batch_size: int,
    event: type[CloudEvent[Any]],
    handler: Handler,
    title: str,
    description: str,
    polling_ms: int = POLLING_MS,
    include_in_schema: bool = True,
) -> StreamBatchSubscriber:
    """Subscribe to raw batches of a stream; only the handler acknowledges.

    FastStream logs and swallows errors of the handler, and the batch then stays pending. The
    handler therefore has to deal with every error itself.

    Args:
        broker: the subscriber starts with this broker.
        stream: full name of the stream, shard included.
        group: the consumer group; see `ensure_groups`.
        consumer: a name that no other live process of the group uses.
        batch_size: the most entries read at once.
        event: the event type that documents one entry.
        handler: gets each batch; the next is read after it has returned.
        title: name of the channel in the AsyncAPI document, unique in the broker.
        description: description of the channel.
        polling_ms: how long an idle read blocks, and the longest delay of a stop, milliseconds.
        include_in_schema: True if the channel appears in a document made from this broker.
    """
    subscriber = broker.subscriber(
        stream=StreamSub(
            stream,
            group=group,
            consumer=consumer,
            batch=True,
            max_records=batch_size,
            polling_interval=polling_ms,
        ),
        parser=parse,
        decoder=decode,
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
        title=title,
        description=description,
        include_in_schema=include_in_schema,
    )

    async def handle(batch: RawBatch) -> None:
        await handler(batch)

    handle.__name__ = title
    # FastStream reads the annotation at run time: it documents the event and accepts every batch.
    handle.__annotations__ = {"batch": raw_batch_of(event), "return": None}
    subscriber(handle)
    return subscriber


async def ensure_groups(client: Redis, groups: Iterable[tuple[str, str]]) -> None:
    """Create missing streams and groups; a group starts at the stream's beginning.

    Args:
        client: any client of the server.
        groups: pairs of stream and group.

    Raises:
        RedisUnavailable: Redis is away.
        StreamRefused: a key of that name is no stream, or the user may not create groups.
    """
    for stream, group in groups:
        with redis_errors():
            try:
                await client.xgroup_create(stream, group, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
