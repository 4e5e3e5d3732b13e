"""The steps of a reader, which a driver performs: readers themselves do no I/O.

A reader is a generator of actions. A driver performs each and sends its result back, or throws what
it raised. So threads and asyncio share the readers.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic

from redis import exceptions

from contracts.client.delivery import Delivery, Failure
from contracts.client.routing import Event


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a command to Redis; the result is the reply."""

    command: Callable[[Any], Any]
    """Calls a method of the client, plain or asyncio."""
    waits: bool = False
    """True if the command blocks, so that a stop may abandon it."""


@dataclass(frozen=True, slots=True)
class Handle(Generic[Event]):
    """Give an event to the handler."""

    event: Event
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Judge(Generic[Event]):
    """Ask what happens to a failure; the result is a `Verdict`."""

    failure: Failure[Event]


@dataclass(frozen=True, slots=True)
class Disturbed:
    """Report that Redis is away, or that a group was gone."""

    error: Exception
    stream: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait, unless there is a stop."""

    seconds: float


Common = Ask | Disturbed | Pause
FollowAction = Common | Handle[Any]
Action = FollowAction | Judge[Any]
Actions = Generator[Action, Any, None]
FollowActions = Generator[FollowAction, Any, None]

LIBRARY_ERRORS = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
"""All errors that redis-py raises while a command runs."""

_REFUSED = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
)
_PASSING = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ClusterError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.TryAgainError,
    OSError,
)
_PASSING_WORDS = frozenset(
    ("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY",
     "TRYAGAIN")
)  # fmt: skip


def passes(error: Exception) -> bool:
    """Return True if waiting helps: the server is away, or busy with itself."""
    if isinstance(error, _REFUSED):
        return False
    return isinstance(error, _PASSING) or _first_word(error) in _PASSING_WORDS


def group_is_gone(error: Exception) -> bool:
    """Return True if somebody has removed the group, or the stream with it."""
    return _first_word(error) in {"NOGROUP", "UNBLOCKED"}


def _first_word(error: Exception) -> str:
    return str(error).split(maxsplit=1)[0] if str(error) else ""
