"""Adds events and has them confirmed, over redis-py's plain client."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis import exceptions
from redis.exceptions import AskError, RedisError

from contracts.client.confirmation import (
    REDIRECTIONS,
    Confirmation,
    NotConfirmedError,
    commands,
    ids_of,
    redirected,
)
from contracts.client.routing import of_cluster
from contracts.client.waiting import longest_wait_s


def add_confirmed(
    redis: Any, stream: str, each: Sequence[Any], confirmation: Confirmation
) -> list[Any]:
    """Add entries to a stream on one connection, and return their ids once they are confirmed.

    Args:
        redis: a client of one server or of a Redis Cluster.
        stream: the stream.
        each: the fields of each entry.
        confirmation: what is asked for.

    Raises:
        NotConfirmedError: they are added, but not confirmed.
        RedisError: it is not known which are added.
    """
    last = confirmation.command(longest_wait_s(redis))
    if not of_cluster(redis):
        answers = _answers(redis, commands(stream, each, last, asking=False))
        return ids_of(answers, confirmation, asking=False)
    address: tuple[str, int] | None = None
    for _ in range(REDIRECTIONS):
        asking = address is not None
        try:
            node = redis.get_node(*address) if address else redis.get_node_from_key(stream)
            node = node or redis.get_node_from_key(stream)
            server = redis.get_redis_connection(node)
            answers = _answers(server, commands(stream, each, last, asking=asking))
        except (exceptions.ConnectionError, exceptions.TimeoutError):
            _look_again(redis)
            raise
        try:
            return ids_of(answers, confirmation, asking=asking)
        except NotConfirmedError:
            raise
        except RedisError as error:
            if not redirected(error, added=not isinstance(answers[int(asking)], Exception)):
                _look_again(redis)
                raise
            if type(error) is AskError:
                address = (error.host, error.port)
            else:
                address = None
                _look_again(redis)
    raise RedisError(f"{stream} was redirected {REDIRECTIONS} times: publish it again")


def _answers(server: Any, wanted: Sequence[tuple[Any, ...]]) -> list[Any]:
    with server.pipeline(transaction=False) as pipeline:
        for command in wanted:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
    return answers


def _look_again(redis: Any) -> None:
    """Ask the cluster where its slots are; who can't be asked now is asked the next time."""
    with suppress(RedisError, OSError):
        redis.nodes_manager.initialize()
