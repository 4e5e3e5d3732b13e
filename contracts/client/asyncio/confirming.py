"""Adds events and has them confirmed, over redis-py's asyncio client."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio.cluster import PipelineCommand
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


async def add_confirmed(
    redis: Any, stream: str, each: Sequence[Any], confirmation: Confirmation
) -> list[Any]:
    """Add entries to a stream on one connection, and return their ids once they are confirmed.

    As `contracts.client.confirming.add_confirmed`.
    """
    last = confirmation.command(longest_wait_s(redis))
    if not of_cluster(redis):
        async with redis.pipeline(transaction=False) as pipeline:
            for command in commands(stream, each, last, asking=False):
                pipeline.execute_command(*command)
            answers = await pipeline.execute(raise_on_error=False)
        return ids_of(answers, confirmation, asking=False)
    await redis.initialize()
    address: tuple[str, int] | None = None
    for _ in range(REDIRECTIONS):
        asking = address is not None
        # By address without a name: the engine's own client answers names in its own way.
        node = redis.nodes_manager.get_node(*address) if address else None
        node = node or redis.get_node_from_key(stream)
        answers = await _answers(node, commands(stream, each, last, asking=asking))
        try:
            return ids_of(answers, confirmation, asking=asking)
        except NotConfirmedError:
            raise
        except (RedisError, OSError) as error:
            if not redirected(error, added=not isinstance(answers[int(asking)], Exception)):
                await _look_again(redis)
                raise
            if type(error) is AskError:
                address = (error.host, error.port)
            else:
                address = None
                await _look_again(redis)
    raise RedisError(f"{stream} was redirected {REDIRECTIONS} times: publish it again")


async def _answers(node: Any, wanted: Sequence[tuple[Any, ...]]) -> list[Any]:
    sent = [PipelineCommand(number, *command) for number, command in enumerate(wanted)]
    try:
        await node.execute_pipeline(sent)
    except (RedisError, OSError) as error:
        return [error] * len(sent)
    return [command.result for command in sent]


async def _look_again(redis: Any) -> None:
    """Ask the cluster where its slots are; who can't be asked now is asked the next time."""
    with suppress(RedisError, OSError):
        await redis.nodes_manager.initialize()
