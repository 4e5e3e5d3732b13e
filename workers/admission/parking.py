"""Park entries whose key is not known yet, so that the others go on.

Such an entry stays pending with this worker. Only its id is kept here; the entry is read from the
stream again once a newer key set has been fetched.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import structlog
from redis.asyncio import Redis

from workers.admission.verdicts import Deferred
from workers.common.errors import KeysUnavailable, StreamRefused, Unavailable
from workers.common.jitter import jittered_sleep
from workers.identity.keyring import KeyRing
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.redis_errors import group_is_missing, redis_errors
from workers.streams.route import Route

_log = structlog.get_logger(__name__)

MOST_PARKED: Final = 100_000
"""About 200 bytes each."""
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0

Feed = Callable[[Route, RawBatch], Awaitable[None]]


class Parking:
    """Holds entries that wait for the issuer's keys.

    Args:
        ring: the keys.
        client: a connection to the Redis of the streams.
        group: the consumer group in which the entries are pending.
        consumer: this worker's name in it.
        batch_size: the most entries passed on at once.
        capacity: the most entries parked; intake pauses when it is reached.
        first_wait_s: the longest first wait for a key server that is away, seconds; it doubles.
        longest_wait_s: the longest wait of all, seconds.
    """

    def __init__(
        self,
        *,
        ring: KeyRing,
        client: Redis,
        group: str,
        consumer: str,
        batch_size: int,
        capacity: int = MOST_PARKED,
        first_wait_s: float = _FIRST_WAIT_S,
        longest_wait_s: float = _LONGEST_WAIT_S,
    ) -> None:
        self._ring = ring
        self._client = client
        self._group = group
        self._consumer = consumer
        self._batch_size = batch_size
        self._capacity = capacity
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._waiting: defaultdict[Route, dict[str, int]] = defaultdict(dict)
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def parked(self, stream: str) -> AbstractSet[str]:
        """Return the ids of the parked entries of a stream."""
        waiting = (ids for route, ids in self._waiting.items() if route.source == stream)
        return next(waiting, {}).keys()

    def let_go(self, stream: str) -> None:
        """Forget the parked entries of a stream that another worker reads from now on."""
        for route, waiting in self._waiting.items():
            if route.source == stream:
                waiting.clear()

    async def ready(self, batch: RawBatch) -> None:
        """Return when a batch can be judged: keys are known, and there is room to park.

        Raises:
            KeysUnavailable: no key is known, or there is no room.
            RedisUnavailable: try again.
        """
        await self._ring.known()
        if len(self) >= self._capacity and any(entry.deferred_ms is None for entry in batch):
            raise KeysUnavailable(
                f"{len(self)} entries wait for keys that are not known; {self._ring.away or ''}"
            )

    async def park(self, route: Route, deferred: Sequence[Deferred]) -> None:
        """Park entries; their deliveries so far do not count.

        Raises:
            RedisUnavailable: try again.
        """
        waiting = self._waiting[route]
        if not self._some.is_set():
            _log.info("entries_wait_for_keys", stream=route.source, entries=len(deferred))
        waiting.update((deferral.entry.entry_id, deferral.since_ms) for deferral in deferred)
        self._some.set()
        ids: list[Any] = [deferral.entry.entry_id for deferral in deferred]
        with redis_errors():
            await self._client.xclaim(
                route.source, self._group, self._consumer, 0, ids, retrycount=0, justid=True
            )

    async def check(self) -> None:
        """Raise if an entry waits for a key server that is away.

        Raises:
            KeysUnavailable: says how many wait, and why.
        """
        away = self._ring.away
        if away is not None and len(self):
            raise KeysUnavailable(f"{len(self)} entries wait for keys that are not known; {away}")

    async def run(self, feed: Feed) -> None:
        """Pass entries on once a newer key set decides; runs until cancelled.

        Args:
            feed: takes a batch; returns when there is room for the next.
        """
        wait_s = self._first_wait_s
        while True:
            await self._some.wait()
            try:
                await self._resolve(feed)
            except Unavailable:
                pass
            except StreamRefused as error:
                if not group_is_missing(error):
                    _log.warning("parking_failed", error=str(error))
            except Exception as error:  # noqa: BLE001  # whatever it is, no entry may wait for ever
                _log.warning("parking_failed", error=type(error).__name__)
            else:
                wait_s = self._first_wait_s
                continue
            await jittered_sleep(wait_s)
            wait_s = min(2 * wait_s, self._longest_wait_s)

    async def _resolve(self, feed: Feed) -> None:
        newest_ms = max(
            (since_ms for waiting in self._waiting.values() for since_ms in waiting.values()),
            default=None,
        )
        if newest_ms is None:
            self._some.clear()
            return
        keys = await self._ring.newer_than(newest_ms)
        for route, waiting in list(self._waiting.items()):
            # Entries parked meanwhile wait for the next fetch.
            due = [entry_id for entry_id, since_ms in waiting.items() if keys.newer_than(since_ms)]
            for start in range(0, len(due), self._batch_size):
                await self._feed(route, due[start : start + self._batch_size], feed)

    async def _feed(self, route: Route, ids: list[Any], feed: Feed) -> None:
        waiting = self._waiting[route]
        with redis_errors():
            # Entries that were deleted or acknowledged by another are not returned.
            claimed: Any = await self._client.xclaim(
                route.source, self._group, self._consumer, 0, ids, retrycount=1
            )
        entries = [
            RawEntry(entry_id.decode(), fields, deferred_ms=waiting[entry_id.decode()])
            for entry_id, fields in claimed
            if fields and entry_id.decode() in waiting
        ]
        if entries:
            await feed(route, RawBatch(route.source, entries))
        for entry_id in ids:
            waiting.pop(entry_id, None)
