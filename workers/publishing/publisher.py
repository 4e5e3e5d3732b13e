"""Acknowledging entries and publishing what follows from them, in one atomic step."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from redis.asyncio import Redis

from contracts.streams import EVENT_FIELD, Shard
from workers.streams.redis_errors import redis_errors

_SCRIPT: Final = (Path(__file__).parent / "publish.lua").read_text()
_CHUNK_ENTRIES: Final = 500
_CHUNK_BYTES: Final = 4_000_000
"""A script stops the whole server while it runs: this much is a few milliseconds."""


class Settled(NamedTuple):
    """An entry that is done with, and the events that its acknowledgement publishes."""

    entry_id: str
    events: Sequence[bytes]
    rejected: bool = False
    """Whether the events go to the rejected stream, not to the mastery stream."""


class Outlet:
    """Acks and publishes for one consumer group.

    Args:
        client: a connection to the Redis of the streams.
        group: the consumer group whose entries are acknowledged.
    """

    def __init__(self, client: Redis, group: str) -> None:
        self._client = client
        self._group = group
        self._script = client.register_script(_SCRIPT)

    async def publish(self, shard: Shard, settled: Sequence[Settled]) -> int:
        """Acknowledge each entry and publish its events, in the order given.

        Safe to repeat: an entry acknowledged before adds nothing.

        Returns:
            How many entries this call acknowledged.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: a key is no stream.
        """
        acknowledged = 0
        for chunk in _chunks(settled):
            arguments: list[str | bytes | int] = [self._group, EVENT_FIELD]
            for one in chunk:
                arguments += [one.entry_id, 3 if one.rejected else 2, len(one.events), *one.events]
            with redis_errors():
                acknowledged += await self._script(
                    keys=[shard.responses, shard.mastery, shard.rejected], args=arguments
                )
        return acknowledged


def _chunks(settled: Sequence[Settled]) -> Iterator[list[Settled]]:
    chunk: list[Settled] = []
    size = 0
    for one in settled:
        length = sum(map(len, one.events))
        if chunk and (len(chunk) >= _CHUNK_ENTRIES or size + length > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(one)
        size += length
    if chunk:
        yield chunk
