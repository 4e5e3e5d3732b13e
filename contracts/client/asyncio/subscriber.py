"""Subscribes to what the engine publishes, over redis-py's asyncio client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

from redis.exceptions import ResponseError

from contracts.client.actions import Action, Actions, Ask, Common, Disturbed, Handle, Judge
from contracts.client.delivery import Delivery, Failure, Verdict, disturbed, logged
from contracts.client.following import (
    BEGINNING,
    Follower,
    FollowReading,
    ask_information,
    is_missing,
    newest_id,
)
from contracts.client.group_reader import GroupReader, GroupReading
from contracts.client.routing import Event, of_cluster, stream_names
from contracts.client.starting import starts
from contracts.client.waiting import longest_wait_s


async def subscribe(
    redis: Any,
    event: type[Event],
    *,
    group: str,
    consumer: str,
    start_at: Literal["0", "$"] | Mapping[str, str],
    handle: Callable[[Event, Delivery], Awaitable[None]],
    shards: int = 0,
    stop: asyncio.Event | None = None,
    on_failure: Callable[[Failure[Event]], Verdict] = logged,
    on_disturbance: Callable[[Exception, str], None] = disturbed,
    claim_after_s: float = 60.0,
    batch_size: int = 32,
) -> None:
    """Handle the events of a type, of all shards, until the stop.

    As `contracts.client.subscribe`, with a task for each shard. A stop ends a wait at once; an
    event being handled is handled to its end. A cancellation ends everything at once: what was not
    acknowledged comes again.
    """
    ending = _Ending(stop)
    reading = GroupReading(
        event,
        group,
        consumer,
        claim_after_s,
        batch_size,
        longest_wait_s(redis),
        ending.is_set,
    )

    async def perform(action: Action) -> Any:
        if isinstance(action, Handle):
            return await handle(action.event, action.delivery)
        if isinstance(action, Judge):
            return on_failure(action.failure)
        return await _perform(redis, action, ending, on_disturbance)

    async def read(reader: GroupReader[Event]) -> None:
        try:
            await _drive(reader.actions(), perform)
        except BaseException:
            ending.set()
            raise

    readers = [
        GroupReader(stream, start, reading)
        for stream, start in starts(
            stream_names(event, shards, cluster=of_cluster(redis)), start_at
        ).items()
    ]
    async with ending:
        ended = await asyncio.gather(*map(read, readers), return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, BaseException):
            raise outcome


async def positions(redis: Any, event: type[Event], *, shards: int = 0) -> dict[str, str]:
    """Return the present ends of the streams of an event type, by stream.

    As `contracts.client.positions`.
    """
    ends = {}
    for stream in stream_names(event, shards, cluster=of_cluster(redis)):
        try:
            ends[stream] = newest_id(await ask_information(stream).command(redis))
        except ResponseError as error:
            if not is_missing(error):
                raise
            ends[stream] = BEGINNING
    return ends


async def follow(
    redis: Any,
    event: type[Event],
    positions: Mapping[str, str],
    *,
    stop: asyncio.Event | None = None,
    on_disturbance: Callable[[Exception, str], None] = disturbed,
    batch_size: int = 100,
) -> AsyncIterator[tuple[Event, Delivery]]:
    """Yield the events after positions, in the order of each stream, without a group.

    As `contracts.client.follow`; a stop ends a wait at once.
    """
    ending = _Ending(stop)
    follower = Follower(
        positions, FollowReading(event, batch_size, longest_wait_s(redis), ending.is_set)
    )
    actions = follower.actions()
    result: Any = None
    error: Exception | None = None
    async with ending:
        while True:
            try:
                action = actions.send(result) if error is None else actions.throw(error)
            except StopIteration:
                return
            result = error = None
            if isinstance(action, Handle):
                yield action.event, action.delivery
                continue
            try:
                result = await _perform(redis, action, ending, on_disturbance)
            except Exception as raised:  # noqa: BLE001  # the reader decides
                error = raised


class _Ending:
    """The end of a subscription: the caller's stop, or a reader that failed.

    Args:
        stop: the caller's stop.
    """

    def __init__(self, stop: asyncio.Event | None) -> None:
        self._stop = stop
        self._reached = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        if self._stop is not None:
            self._watching = asyncio.create_task(self._watch(self._stop))

    async def __aexit__(self, *_: object) -> None:
        if self._watching is not None:
            self._watching.cancel()

    def is_set(self) -> bool:
        """Return True once the end is reached."""
        return self._reached.is_set() or (self._stop is not None and self._stop.is_set())

    def set(self) -> None:
        """End all readers."""
        self._reached.set()

    async def wait(self) -> None:
        """Wait for the end."""
        await self._reached.wait()

    async def _watch(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._reached.set()


async def _perform(
    redis: Any,
    action: Common,
    ending: _Ending,
    on_disturbance: Callable[[Exception, str], None],
) -> Any:
    """Perform an action that is not the caller's."""
    if isinstance(action, Ask):
        command = action.command(redis)
        return await (_until(ending, command) if action.waits else command)
    if isinstance(action, Disturbed):
        return on_disturbance(action.error, action.stream)
    with suppress(TimeoutError):
        await asyncio.wait_for(ending.wait(), action.seconds)
    return None


async def _until(ending: _Ending, command: Awaitable[Any]) -> Any:
    """Wait for a reply, or for the end, which abandons the command and gives None."""
    reply = asyncio.ensure_future(command)
    end = asyncio.ensure_future(ending.wait())
    try:
        await asyncio.wait((reply, end), return_when=asyncio.FIRST_COMPLETED)
        return reply.result() if reply.done() else None
    finally:
        for task in (reply, end):
            task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await reply


async def _drive(actions: Actions, perform: Callable[[Action], Awaitable[Any]]) -> None:
    """Perform the actions of a reader, and return to it what each gives or raises."""
    result: Any = None
    error: Exception | None = None
    while True:
        try:
            action = actions.send(result) if error is None else actions.throw(error)
        except StopIteration:
            return
        result = error = None
        try:
            result = await perform(action)
        except Exception as raised:  # noqa: BLE001  # the reader decides
            error = raised
