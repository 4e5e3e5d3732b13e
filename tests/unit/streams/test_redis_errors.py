"""Every error of redis-py means something to us."""

import inspect

import pytest
import redis.exceptions
from redis.exceptions import ResponseError

from workers.common.errors import MasteryError, RedisUnavailable, StreamRefused
from workers.streams.redis_errors import LIBRARY_ERRORS, from_redis, group_is_missing, redis_errors

_ALL = [
    error
    for _, error in sorted(vars(redis.exceptions).items())
    if inspect.isclass(error) and issubclass(error, Exception)
]
_AWAY = {
    "AskError",
    "BusyLoadingError",
    "ChildDeadlockedError",
    "ClusterDownError",
    "ClusterError",
    "ConnectionError",
    "ExternalAuthProviderError",
    "LockError",
    "LockNotOwnedError",
    "MasterDownError",
    "MaxConnectionsError",
    "MovedError",
    "OutOfMemoryError",
    "ReadOnlyError",
    "SlotNotCoveredError",
    "TimeoutError",
    "TryAgainError",
    "WatchError",
}
_REFUSED = {
    "AuthenticationError",
    "AuthenticationWrongNumberOfArgsError",
    "AuthorizationError",
    "ClusterCrossSlotError",
    "CrossSlotTransactionError",
    "DataError",
    "ExecAbortError",
    "IncorrectPolicyType",
    "InvalidPipelineStack",
    "InvalidResponse",
    "ModuleError",
    "NoPermissionError",
    "NoScriptError",
    "NoSuchFieldsetError",
    "PubSubError",
    "RedisClusterException",
    "RedisError",
    "ResponseError",
}


def _made(error: type[Exception]) -> Exception:
    # Moved and Ask read slot and node out of their text.
    return error("42 127.0.0.1:7000")


def test_given_the_library_then_each_of_its_errors_is_decided_here() -> None:
    assert {error.__name__ for error in _ALL} == _AWAY | _REFUSED


@pytest.mark.parametrize("error", _ALL)
def test_given_any_error_of_the_library_when_raised_then_it_is_mapped(
    error: type[Exception],
) -> None:
    expected = RedisUnavailable if error.__name__ in _AWAY else StreamRefused
    raised = _made(error)

    assert issubclass(error, LIBRARY_ERRORS)
    with pytest.raises(MasteryError) as caught, redis_errors():
        raise raised

    assert type(caught.value) is expected
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), TimeoutError(), OSError(113, "x")])
def test_given_an_error_of_the_network_when_raised_then_redis_is_away(error: OSError) -> None:
    with pytest.raises(RedisUnavailable, match=type(error).__name__), redis_errors():
        raise error


@pytest.mark.parametrize("reply", ["MISCONF disk", "NOREPLICAS few", "BUSY script", "LOADING data"])
def test_given_a_reply_that_passes_when_mapped_then_redis_is_away(reply: str) -> None:
    assert isinstance(from_redis(ResponseError(reply)), RedisUnavailable)


@pytest.mark.parametrize(
    "reply", ["WRONGTYPE x", "NOGROUP x", "unknown command", "BUSYGROUP x", ""]
)
def test_given_a_reply_that_stays_when_mapped_then_it_is_refused(reply: str) -> None:
    assert isinstance(from_redis(ResponseError(reply)), StreamRefused)


def test_given_another_error_when_raised_then_it_is_left_alone() -> None:
    with pytest.raises(KeyError), redis_errors():
        raise KeyError("ours")


def test_given_a_missing_group_then_it_is_recognised_through_our_error() -> None:
    with pytest.raises(StreamRefused) as caught, redis_errors():
        raise ResponseError("NOGROUP No such key 'x' or consumer group 'g'")

    assert group_is_missing(caught.value)
    assert not group_is_missing(StreamRefused("WRONGTYPE"))
    assert not group_is_missing(from_redis(ResponseError("WRONGTYPE")))
