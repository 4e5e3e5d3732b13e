"""Confirmation that replicas have an event, which then outlives the loss of its server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import AskError, MovedError, RedisError

from contracts.streams import EVENT_FIELD

REDIRECTIONS: Final = 8
"""The most redirections that an event follows on a Redis Cluster."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Servers that must have an event before it counts as published.

    Args:
        replicas: number of replicas. A failover promotes any of them, so only all replicas of a
            master make sure that none is promoted without the event.
        timeout_s: longest wait, seconds; at most 2, and half of the client's socket timeout.
        on_disk: True if the server and these replicas must have it on disk (`WAITAOF`, Redis 7.2,
            with ``appendonly yes``); False: in memory (`WAIT`).

    Raises:
        ValueError: a number is out of range.
    """

    replicas: int = 1
    timeout_s: float = 1.0
    on_disk: bool = False

    def __post_init__(self) -> None:
        if self.replicas < 0 or (self.replicas == 0 and not self.on_disk):
            raise ValueError(f"replicas is {self.replicas}: ask for 1 or more")
        if self.timeout_s <= 0:
            # Redis would wait for ever.
            raise ValueError(f"timeout_s is {self.timeout_s}: give seconds above 0")

    def command(self, longest_s: float) -> tuple[str | int, ...]:
        """Return the command that asks for it.

        Args:
            longest_s: longest time that the client waits for an answer, seconds.
        """
        wait_ms = max(1, int(1000 * min(self.timeout_s, longest_s)))
        if self.on_disk:
            return ("WAITAOF", 1, self.replicas, wait_ms)
        return ("WAIT", self.replicas, wait_ms)

    def check(self, answer: Any) -> None:
        """Return if the answer to the command confirms.

        Raises:
            NotConfirmedError: it does not.
        """
        here, replicas = answer if self.on_disk else (1, answer)
        if int(here) < 1 or int(replicas) < self.replicas:
            raise NotConfirmedError(self, int(here), int(replicas))


class NotConfirmedError(RedisError):
    """Redis has the event, but too few replicas said so in time: publish it again.

    Args:
        wanted: what was asked for.
        here: 1 unless the server itself has not written it to disk yet.
        replicas: number of replicas that have it.
    """

    def __init__(self, wanted: Confirmation, here: int, replicas: int) -> None:
        disk = "" if here else "; the server has not written it to disk"
        super().__init__(
            f"{replicas} of {wanted.replicas} replicas have the event after {wanted.timeout_s:g} s"
            f"{disk}: publish it again"
        )
        self.replicas = replicas


def commands(
    stream: str, each: Sequence[Any], last: Sequence[str | int], *, asking: bool
) -> list[tuple[Any, ...]]:
    """Return the commands that add events to a stream and ask for their confirmation.

    They must go over one connection: the confirmation is about what it has written. Events that
    are redirected are followed by a confirmation of nothing, so its answer must not be read.

    Args:
        stream: the stream.
        each: the fields of each entry.
        last: the command that asks.
        asking: True if the node is asked for a slot that is moving to it.
    """
    added: list[tuple[Any, ...]] = []
    for fields in each:
        added += [("ASKING",)] if asking else []
        added.append(("XADD", stream, "*", EVENT_FIELD, fields[EVENT_FIELD]))
    return [*added, tuple(last)]


def ids_of(answers: Sequence[Any], confirmation: Confirmation, *, asking: bool) -> list[Any]:
    """Return the ids of the added entries.

    Args:
        answers: the answers to `commands`, or the error of each.
        confirmation: what was asked for.
        asking: as for `commands`.

    Raises:
        RedisError: an entry was not added, or is not confirmed.
    """
    *added, confirmed = answers
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    confirmation.check(confirmed)
    return added[1::2] if asking else added


def redirected(error: Exception, *, added: bool) -> bool:
    """Return True if all entries have to be added at another node.

    Args:
        error: the first error.
        added: True if an entry was added at this one.
    """
    return isinstance(error, AskError | MovedError) and not added
