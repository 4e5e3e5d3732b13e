"""Subscribes to what the engine publishes, over redis-py's plain client."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
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


def subscribe(
    redis: Any,
    event: type[Event],
    *,
    group: str,
    consumer: str,
    start_at: Literal["0", "$"] | Mapping[str, str],
    handle: Callable[[Event, Delivery], None],
    shards: int = 0,
    stop: threading.Event | None = None,
    on_failure: Callable[[Failure[Event]], Verdict] = logged,
    on_disturbance: Callable[[Exception, str], None] = disturbed,
    claim_after_s: float = 60.0,
    batch_size: int = 32,
) -> None:
    """Handle the events of a type, of all shards, until the stop.

    Nothing is lost: an event is acknowledged after it was handled. It may come again: after a
    crash, and when it took longer than `claim_after_s`. Each shard but the first has a thread of
    its own, so `handle` runs for several shards at a time. A stop is noticed within 2 s.

    Args:
        redis: a client of the engine's Redis, with a connection for each shard in its pool.
        event: `MasteryChanged`, `ConceptUnlocked` or `ResponseRejected`.
        group: the group; each event is handled by one of its consumers.
        consumer: the name of this process in the group: no other's, and the same after a restart.
        start_at: where a new group begins: ``0`` with all that is kept, ``$`` with what comes, or
            the positions of a snapshot by stream.
        handle: handles an event; of one shard one after the other.
        shards: the engine's ``STREAM_SHARDS``.
        stop: ends the subscription; the event being handled is handled to its end.
        on_failure: decides about an event whose `handle` raised; by default it is logged and comes
            again, and an unreadable event is logged and dropped.
        on_disturbance: hears that Redis is away or the group was gone, both of which mend.
        claim_after_s: age from which a pending event comes again, seconds.
        batch_size: events read at once.

    Raises:
        redis.RedisError: Redis refuses what no waiting will change, such as a missing right.
        Exception: what `on_failure` raises.
        ValueError: an argument is out of range, or `start_at` lacks a stream.
    """
    stop = stop or threading.Event()
    failed = threading.Event()
    reading = GroupReading(
        event,
        group,
        consumer,
        claim_after_s,
        batch_size,
        longest_wait_s(redis),
        lambda: stop.is_set() or failed.is_set(),
    )

    def perform(action: Action) -> Any:
        if isinstance(action, Handle):
            return handle(action.event, action.delivery)
        if isinstance(action, Judge):
            return on_failure(action.failure)
        return _perform(redis, action, stop, on_disturbance)

    def read(reader: GroupReader[Event]) -> None:
        try:
            _drive(reader.actions(), perform)
        except BaseException:
            failed.set()
            raise

    first, *others = [
        GroupReader(stream, start, reading)
        for stream, start in starts(
            stream_names(event, shards, cluster=of_cluster(redis)), start_at
        ).items()
    ]
    if not others:
        read(first)
        return
    with ThreadPoolExecutor(len(others), thread_name_prefix="subscribe") as threads:
        readings = [threads.submit(read, reader) for reader in others]
        read(first)
    for ended in readings:
        ended.result()


def positions(redis: Any, event: type[Event], *, shards: int = 0) -> dict[str, str]:
    """Return the present ends of the streams of an event type, by stream.

    Read them before you read a snapshot: what the snapshot lacks is published after them.

    Args:
        redis: a client of the engine's Redis.
        event: `MasteryChanged`, `ConceptUnlocked` or `ResponseRejected`.
        shards: the engine's ``STREAM_SHARDS``.
    """
    ends = {}
    for stream in stream_names(event, shards, cluster=of_cluster(redis)):
        try:
            ends[stream] = newest_id(ask_information(stream).command(redis))
        except ResponseError as error:
            if not is_missing(error):
                raise
            ends[stream] = BEGINNING
    return ends


def follow(
    redis: Any,
    event: type[Event],
    positions: Mapping[str, str],
    *,
    stop: threading.Event | None = None,
    on_disturbance: Callable[[Exception, str], None] = disturbed,
    batch_size: int = 100,
) -> Iterator[tuple[Event, Delivery]]:
    """Yield the events after positions, in the order of each stream, without a group.

    Store the position of each delivery together with what you made of the event: with it you go on
    after a restart. It reads only, so the Redis user ``subscriber`` is enough.

    Args:
        redis: a client of the engine's Redis; on a Redis Cluster follow each shard by itself.
        event: `MasteryChanged`, `ConceptUnlocked` or `ResponseRejected`.
        positions: id of the last entry that is known, by stream: of a snapshot, or your own.
        stop: ends it, within 2 s.
        on_disturbance: hears that Redis is away.
        batch_size: events read at once.

    Raises:
        PositionLostError: entries after a position were trimmed.
        UnreadableEventError: an entry is not an event of the type.
        redis.RedisError: Redis refuses what no waiting will change.
    """
    stop = stop or threading.Event()
    follower = Follower(
        positions, FollowReading(event, batch_size, longest_wait_s(redis), stop.is_set)
    )
    actions = follower.actions()
    result: Any = None
    error: Exception | None = None
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
            result = _perform(redis, action, stop, on_disturbance)
        except Exception as raised:  # noqa: BLE001  # the reader decides
            error = raised


def _perform(
    redis: Any,
    action: Common,
    stop: threading.Event,
    on_disturbance: Callable[[Exception, str], None],
) -> Any:
    """Perform an action that is not the caller's."""
    if isinstance(action, Ask):
        return action.command(redis)
    if isinstance(action, Disturbed):
        return on_disturbance(action.error, action.stream)
    return stop.wait(action.seconds)


def _drive(actions: Actions, perform: Callable[[Action], Any]) -> None:
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
            result = perform(action)
        except Exception as raised:  # noqa: BLE001  # the reader decides
            error = raised
