"""Streams of other shard counts, which are drained after `STREAM_SHARDS` was changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from contracts.streams import ENGINE_GROUP, GRAPH_GROUP, Shard, shards
from workers.common.text import text_of
from workers.streams.cluster.client import on_cluster
from workers.streams.redis_errors import redis_errors

_AT_ONCE: Final = 128
"""Streams asked for in one round trip: about a millisecond of the event loop."""


class OldShards:
    """Finds the shards whose streams exist although `STREAM_SHARDS` does not name them.

    Args:
        client: a connection to the Redis of the streams.
        candidates: the shards to look for; see `contracts.streams.other_shards`.

    Attributes:
        found: the shards of which a responses or mastery stream existed at the last look.
        responses: those of them whose responses are not drained.
        mastery: those of them whose mastery events are not drained, or will grow.
    """

    def __init__(self, client: Redis, candidates: Sequence[Shard]) -> None:
        self._client = client
        # Nobody could process the plain names on a Redis Cluster: they share no slot.
        refused = shards(0) if on_cluster(client) else ()
        self._candidates = tuple(shard for shard in candidates if shard not in refused)
        self.found: tuple[Shard, ...] = ()
        self.responses: tuple[Shard, ...] = ()
        self.mastery: tuple[Shard, ...] = ()

    async def look(self) -> None:
        """Look for streams, and for what their groups have not processed yet.

        Raises:
            RedisUnavailable: Redis is away; what was found stays as it is.
            StreamRefused: permission is missing.
        """
        with_entries: list[Shard] = []
        for page in _pages(self._candidates):
            pipeline = self._client.pipeline(transaction=False)
            for shard in page:
                pipeline.exists(shard.responses)
                pipeline.exists(shard.mastery)
            with redis_errors():
                answers = await pipeline.execute()
            with_entries += [
                shard
                for shard, *exist in zip(page, answers[::2], answers[1::2], strict=True)
                if any(exist)
            ]
        self.found = tuple(with_entries)
        await self.look_again()

    async def look_again(self) -> None:
        """Look only at the streams that the last look found; raises as `look` does."""
        unread = await undrained(
            self._client, [shard.responses for shard in self.found], ENGINE_GROUP
        )
        behind = await undrained(self._client, [shard.mastery for shard in self.found], GRAPH_GROUP)
        self.responses = tuple(shard for shard in self.found if shard.responses in unread)
        self.mastery = tuple(
            shard for shard in self.found if shard.mastery in behind or shard.responses in unread
        )


async def undrained(client: Redis, streams: Sequence[str], group: str) -> set[str]:
    """Return the streams of which a group has not read or not acknowledged every entry.

    Args:
        client: a connection to Redis.
        streams: names of streams; one that does not exist is drained.
        group: a group; where it does not exist, it has read nothing.

    Raises:
        RedisUnavailable: try again.
        StreamRefused: a key is no stream, or permission is missing.
    """
    behind: set[str] = set()
    for page in _pages(streams):
        infos = await _each(client, page, lambda pipeline, name: pipeline.xinfo_groups(name))
        after = {}
        for stream, groups in infos.items():
            own = next((info for info in groups if text_of(info["name"]) == group), None)
            if own is not None and own["pending"]:
                behind.add(stream)
            else:
                after[stream] = "-" if own is None else f"({text_of(own['last-delivered-id'])}"
        behind |= await _with_entries(client, after)
    return behind


async def _with_entries(client: Redis, after: Mapping[str, str]) -> set[str]:
    """Return the streams that have an entry after an id, given by stream."""
    unread = await _each(
        client, after, lambda pipeline, name: pipeline.xrange(name, min=after[name], count=1)
    )
    return {stream for stream, entries in unread.items() if entries}


async def _each(
    client: Redis, streams: Iterable[str], ask: Callable[[Any, str], object]
) -> dict[str, Any]:
    """Ask about each stream in one round trip; leave out those that do not exist."""
    names = list(streams)
    if not names:
        return {}
    pipeline = client.pipeline(transaction=False)
    for name in names:
        ask(pipeline, name)
    with redis_errors():
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, ResponseError) and "no such key" in str(answer):
                continue
            if isinstance(answer, Exception):
                raise answer
    return {
        name: answer
        for name, answer in zip(names, answers, strict=True)
        if not isinstance(answer, Exception)
    }


def _pages(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
