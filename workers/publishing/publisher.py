"""Acknowledge entries and publish their events, in one atomic step."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from contracts.streams import EVENT_FIELD
from workers.publishing.settled import Settled
from workers.streams.redis_errors import redis_errors
from workers.streams.route import Route

_SCRIPT: Final = (Path(__file__).parent / "publish.lua").read_text()
_CHUNK_ENTRIES: Final = 500
_CHUNK_BYTES: Final = 4_000_000
"""A script stops the whole server while it runs: this much takes a few milliseconds."""
_EVENTS_KEY: Final = 2
_REJECTED_KEY: Final = 3


class Publisher:
    """Acknowledges the entries of one consumer group and publishes their events.

    Args:
        client: a connection to the Redis of the streams.
        group: the consumer group whose entries are acknowledged.
    """

    def __init__(self, client: Redis, group: str) -> None:
        self._client = client
        self._group = group
        self._script = client.register_script(_SCRIPT)

    async def publish(self, route: Route, settled: Sequence[Settled]) -> int:
        """Acknowledge each entry and publish its events, in the order given.

        A repeat is safe: an entry acknowledged before publishes nothing.

        Returns:
            How many entries this call acknowledged.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: one of the three keys is no stream.
        """
        acknowledged = 0
        for chunk in _chunks(settled):
            arguments: list[str | bytes | int] = [self._group, EVENT_FIELD]
            for settled_entry in chunk:
                key = _EVENTS_KEY if settled_entry.refusal is None else _REJECTED_KEY
                arguments += [
                    settled_entry.entry.entry_id,
                    key,
                    len(settled_entry.events),
                    *settled_entry.events,
                ]
            with redis_errors():
                acknowledged += await self._script(
                    keys=[route.source, route.events, route.rejected], args=arguments
                )
        return acknowledged


def _chunks(settled: Sequence[Settled]) -> Iterator[list[Settled]]:
    chunk: list[Settled] = []
    size = 0
    for settled_entry in settled:
        length = sum(map(len, settled_entry.events))
        if chunk and (len(chunk) >= _CHUNK_ENTRIES or size + length > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(settled_entry)
        size += length
    if chunk:
        yield chunk
