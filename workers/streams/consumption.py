"""Consume one stream for one group: a subscriber, reclaiming, and a watchdog over both."""

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Final

import structlog
from faststream.redis import RedisBroker
from faststream.redis.subscriber.usecases import StreamBatchSubscriber
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from contracts.envelope import CloudEvent
from workers.common.errors import StreamRefused, Unavailable
from workers.common.tasks import end
from workers.common.text import text_of
from workers.streams.batch import RawBatch
from workers.streams.reading import Reading
from workers.streams.reclaiming import Reclaimer
from workers.streams.redis_errors import redis_errors
from workers.streams.subscribers import POLLING_MS, declare, ensure_groups

_log = structlog.get_logger(__name__)

_WATCH_S: Final = 0.5


class Consumption:
    """One stream, consumed by one group.

    Args:
        broker: FastStream's broker, not started yet.
        client: a connection to the same Redis.
        stream: full name of the stream.
        group: the consumer group.
        consumer: this worker's name in the group.
        batch_size: the most entries taken at once.
        reclaim_after_ms: an entry pending for longer is claimed, milliseconds.
        event: the event type that documents one entry.
        handler: processes each batch; returns when there is room for the next.
        in_flight: returns the entries of the stream that are in flight in this worker.
        waiting: returns True while the handler waits for a server.
        later: True if the broker starts without this stream. Call `join` or `take_over` instead of
            `start`, as often as the reading begins anew.
    """

    def __init__(
        self,
        *,
        broker: RedisBroker,
        client: Redis,
        stream: str,
        group: str,
        consumer: str,
        batch_size: int,
        reclaim_after_ms: int,
        event: type[CloudEvent[Any]],
        handler: Callable[[RawBatch], Awaitable[None]],
        in_flight: Callable[[], AbstractSet[str]],
        waiting: Callable[[], bool],
        later: bool = False,
    ) -> None:
        self.stream = stream
        self.group = group
        self.later = later
        self._client = client
        self._reading = Reading(stream, lambda: client.exists(stream))
        self._declaring = partial(
            declare,
            broker,
            stream=stream,
            group=group,
            consumer=consumer,
            batch_size=batch_size,
            event=event,
            handler=handler,
            title=f"{group}:{stream}",
            description=f"{group} reads {stream}",
        )
        # The broker starts each subscriber that it knows.
        self._subscriber: StreamBatchSubscriber | None = None if later else self._declare()
        self._reclaimer = Reclaimer(
            client=client,
            stream=stream,
            group=group,
            consumer=consumer,
            idle_ms=reclaim_after_ms,
            batch_size=batch_size,
            in_flight=in_flight,
            waiting=waiting,
            feed=handler,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._delivered_before = "0-0"

    def _declare(self) -> StreamBatchSubscriber:
        subscriber = self._declaring()
        self._reading.attach(subscriber)
        return subscriber

    async def prepare(self) -> None:
        """Create the stream and the group if they are missing; call before the broker starts."""
        await ensure_groups(self._client, [(self.stream, self.group)])
        group = await self._group_info()
        self._delivered_before = text_of(group["last-delivered-id"]) if group else "0-0"

    def start(self) -> None:
        """Start to inherit, claim, keep and watch; call once the broker has started."""
        self._tasks = [
            asyncio.create_task(self._reclaim(self._inherit)),
            asyncio.create_task(self._keep()),
            asyncio.create_task(self._watch()),
        ]

    async def join(self) -> None:
        """Read as one of several consumers; call once the broker has started.

        Raises:
            Unavailable: a server is away; call `stop`, then try again.
            StreamRefused: Redis refuses a command.
        """
        await self.prepare()
        await self._read()
        self.start()

    async def take_over(self) -> None:
        """Process what any consumer left pending, then read; call when the lease was acquired.

        Raises:
            Unavailable: a server is away; call `stop`, then try again.
            StreamRefused: Redis refuses a command.
        """
        await self.prepare()
        self._tasks = [asyncio.create_task(self._keep())]
        taken = await self._reclaimer.take_over()
        if taken:
            _log.info("entries_taken_over", stream=self.stream, entries=taken)
        await self._read()
        self._tasks += [
            asyncio.create_task(self._reclaim(self._take_stragglers)),
            asyncio.create_task(self._watch()),
        ]

    async def _read(self) -> None:
        self._subscriber = self._subscriber or self._declare()
        with redis_errors():
            await self._subscriber.start()

    async def stop(self) -> None:
        """Stop taking entries."""
        await end(self._tasks)
        self._tasks = []
        if self._subscriber is not None:
            await self._subscriber.stop()

    async def finish(self) -> None:
        """After `stop`, process what Redis had already delivered to the cancelled read."""
        try:
            await self._reclaimer.inherit("+")
        except (Unavailable, StreamRefused) as error:
            _log.warning("entries_left_pending", stream=self.stream, error=str(error))

    @property
    def alive(self) -> bool:
        """Return True while entries are read."""
        return self._running and not self._reading.failing

    @property
    def _running(self) -> bool:
        """Return False if FastStream has stopped reading for good; it may do so and stay up."""
        if self._subscriber is None:
            return False
        tasks = self._subscriber.tasks
        return bool(self._subscriber.running) and any(not task.done() for task in tasks)

    async def drained(self) -> bool:
        """Return True if the group has no unread and no pending entry."""
        group = await self._group_info()
        if group is None or group["pending"]:
            return False  # lost: the watchdog creates it again, and the next call sees it
        last = text_of(group["last-delivered-id"])
        with redis_errors():
            return not await self._client.xrange(self.stream, min=f"({last}", count=1)

    async def _group_info(self) -> dict[str, Any] | None:
        """Read the state of the group; None if the group or the stream does not exist."""
        with redis_errors():
            try:
                groups: Any = await self._client.xinfo_groups(self.stream)
            except ResponseError as error:
                if "no such key" in str(error):
                    return None
                raise
        return next((group for group in groups if text_of(group["name"]) == self.group), None)

    async def _inherit(self) -> None:
        await self._reclaimer.inherit(self._delivered_before)

    async def _take_stragglers(self) -> None:
        # Redis may have delivered entries to the last read of the former holder after they were
        # taken over: such a read ends within this time.
        await asyncio.sleep(2 * POLLING_MS / 1000)
        await self._reclaimer.take_over(others_only=True)

    async def _reclaim(self, first: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await first()
                await self._reclaimer.run()
            except Exception as error:  # noqa: BLE001  # pending entries must not wait for ever
                _log.warning("reclaiming_failed", stream=self.stream, error=str(error))
                await asyncio.sleep(_WATCH_S)

    async def _keep(self) -> None:
        while True:
            try:
                await self._reclaimer.keep()
            except Exception as error:  # noqa: BLE001  # as above: entries in flight must stay ours
                _log.warning("keeping_failed", stream=self.stream, error=str(error))
                await asyncio.sleep(_WATCH_S)

    async def _watch(self) -> None:
        """Create the group again and go on after FastStream has stopped reading for good."""
        while True:
            await asyncio.sleep(_WATCH_S)
            if self._running or self._subscriber is None:
                continue
            try:
                await self.prepare()
                await self._subscriber.start()
                _log.warning("subscriber_restarted", stream=self.stream, group=self.group)
            except Exception as error:  # noqa: BLE001  # readiness reports it; try again
                _log.warning("subscriber_down", stream=self.stream, error=str(error))
