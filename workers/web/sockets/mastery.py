"""Read the mastery streams once for all sockets of this process."""

import asyncio
from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
import structlog
from redis.asyncio import Redis

from contracts.streams import EVENT_FIELD
from workers.common.errors import StreamRefused, Unavailable
from workers.common.tasks import end
from workers.estimation.learner import LearnerKey
from workers.streams.cluster.client import on_cluster
from workers.streams.redis_errors import redis_errors
from workers.web.sockets.bounded_queue import BoundedQueue

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 200
"""Entries read at once: far fewer than a queue holds."""
_BLOCK_MS: Final = 1_000
_PAUSE_S: Final = 0.05
_AWAY_S: Final = 1.0
_FIELD: Final = EVENT_FIELD.encode()


class LiveMastery:
    """Passes mastery events to followers; reads the streams only while there are any.

    Args:
        client: a connection to the Redis of the streams.
        streams: the mastery streams of all shards.
        old: returns the mastery streams of other shard counts found so far; they grow until they
            are drained.
    """

    def __init__(
        self,
        client: Redis,
        streams: Sequence[str],
        old: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._client = client
        self._streams = tuple(streams)
        self._old = old
        self._queues: defaultdict[LearnerKey, set[BoundedQueue]] = defaultdict(set)
        self._turn = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None

    @property
    def reading(self) -> bool:
        """True while somebody follows and the streams are read."""
        return self._reader is not None

    def followers(self, key: LearnerKey) -> Collection[BoundedQueue]:
        """Return the queues of the followers of a learner."""
        return tuple(self._queues.get(key, ()))

    @asynccontextmanager
    async def following(self, key: LearnerKey) -> AsyncIterator[BoundedQueue]:
        """Provide a queue of all changes of a learner that are published from now on.

        Raises:
            RedisUnavailable: the present ends of the streams can't be read.
            StreamRefused: a key is not a stream, or we may not read it.
        """
        queue = BoundedQueue()
        async with self._turn:
            if self._reader is None:
                ends, began_ms = await self._ends()
                self._reader = asyncio.create_task(self._read(ends, began_ms), name="live-mastery")
            self._queues[key].add(queue)
        try:
            yield queue
        finally:
            self._queues[key].discard(queue)
            if not self._queues[key]:
                del self._queues[key]
            async with self._turn:
                if not self._queues and self._reader is not None:
                    reader, self._reader = self._reader, None
                    await end([reader])

    async def _ends(self) -> tuple[dict[str, str], int]:
        """Return the newest id of each stream, and Redis's time, milliseconds since 1970."""
        ends = {}
        with redis_errors():
            seconds, microseconds = await self._client.time()
        for stream in (*self._streams, *self._old()):
            with redis_errors():
                last: Any = await self._client.xrevrange(stream, count=1)
            ends[stream] = last[0][0].decode() if last else "0-0"
        return ends, seconds * 1000 + microseconds // 1000

    async def _read(self, after: dict[Any, Any], began_ms: int) -> None:
        while True:
            for stream in self._old():
                # An event of that very millisecond may have been published since.
                after.setdefault(stream, f"{began_ms - 1}-0")
            try:
                delivered = await self._read_some(after)
            except (Unavailable, StreamRefused) as error:
                _log.warning("live_mastery_waits", reason=str(error))
                await asyncio.sleep(_AWAY_S)
            except Exception:  # noqa: BLE001  # whatever it is, all followers depend on this reader
                _log.exception("live_mastery_failed")
                await asyncio.sleep(_AWAY_S)
            else:
                # The embedded Redis does not block, and the senders need their turn.
                await asyncio.sleep(0 if delivered else _PAUSE_S)

    async def _read_some(self, after: dict[Any, Any]) -> bool:
        """Deliver the entries after these; return True if there were any."""
        if on_cluster(self._client):
            return await self._read_each(after)
        with redis_errors():
            answer: Any = await self._client.xread(after, count=_AT_ONCE, block=_BLOCK_MS)
        return self._deliver_all(after, answer)

    async def _read_each(self, after: dict[Any, Any]) -> bool:
        """Read each stream by itself: on a Redis Cluster one XREAD reads one slot."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for stream, entry_id in after.items():
                pipeline.xread({stream: entry_id}, count=_AT_ONCE)
            with redis_errors():
                answers: list[Any] = await pipeline.execute(raise_on_error=False)
        delivered = False
        for answer in answers:
            if not isinstance(answer, Exception):
                delivered |= self._deliver_all(after, answer)
        with redis_errors():
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return delivered

    def _deliver_all(self, after: dict[Any, Any], answer: Any) -> bool:
        for stream, entries in answer or ():
            for entry_id, fields in entries:
                # Before delivery: an entry that fails must not come again for ever.
                after[stream.decode()] = entry_id.decode()
                self.deliver(fields.get(_FIELD))
        return bool(answer)

    def deliver(self, event: bytes | None) -> None:
        """Put the data of an event into the queues of its learner's followers."""
        try:
            data = orjson.loads(event or b"")["data"]
            queues = self._queues.get(LearnerKey(data["tenant_id"], data["student_id"]))
        except (ValueError, KeyError, TypeError):
            return  # not an event of ours; the projector rejects it
        if queues:
            message = orjson.dumps(data).decode()
            for queue in queues:
                queue.put(message)


async def messages(queue: BoundedQueue) -> AsyncGenerator[str, None]:
    """Yield the messages of a queue, for ever."""
    while True:
        yield await queue.take()
