"""The present ends of streams: where a reader of a snapshot begins to read."""

from collections.abc import Iterable

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from workers.streams.redis_errors import redis_errors

BEGINNING = "0-0"
"""The position before the first entry."""


async def positions(client: Redis, streams: Iterable[str]) -> dict[str, str]:
    """Return the id of the newest entry of each stream, trimmed or not.

    What was published before is committed, because events are published after the commit. So a
    snapshot read afterwards has it, and entries after the position have all that the snapshot
    lacks.

    Raises:
        RedisUnavailable: Redis is away.
        StreamRefused: a key is not a stream, or we may not read it.
    """
    return {stream: await _end(client, stream) for stream in streams}


async def _end(client: Redis, stream: str) -> str:
    with redis_errors():
        try:
            information = await client.xinfo_stream(stream)
        except ResponseError as error:
            if "no such key" in str(error):
                return BEGINNING
            raise
    return str(information["last-generated-id"].decode())
