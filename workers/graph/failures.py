"""Sort errors of the Neo4j driver: wait and try again, or stop."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from neo4j import exceptions as driver

from workers.common.errors import GraphRefused, GraphTooSlow, GraphUnavailable

_WAIT: Final = (
    driver.ServiceUnavailable,  # IncompleteCommit too: merges may be repeated
    driver.SessionExpired,
    driver.ConnectionPoolError,
    driver.TransientError,
    OSError,  # TimeoutError too
)

_WAIT_CODES: Final = frozenset(
    {
        # Wrong passwords of other clients lock us out for some seconds.
        "Neo.ClientError.Security.AuthenticationRateLimit",
        # Ended from outside, by an operator, a time limit or a shutdown.
        "Neo.ClientError.Transaction.LockClientStopped",
        "Neo.ClientError.Transaction.Terminated",
        "Neo.ClientError.Transaction.TransactionMarkedAsFailed",
        "Neo.ClientError.Transaction.TransactionNotFound",
        "Neo.ClientError.Transaction.TransactionTerminated",
    }
)

_TOO_SLOW_CODES: Final = frozenset(
    {
        "Neo.ClientError.Transaction.TransactionTimedOut",
        "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
        "Neo.TransientError.General.MemoryPoolOutOfMemoryError",
        "Neo.TransientError.General.TransactionOutOfMemoryError",
    }
)

_REMEDIES: Final = (
    (driver.AuthError, "check NEO4J_USERNAME and NEO4J_PASSWORD"),
    (driver.Forbidden, "grant the user the right to read, write and create constraints"),
    (driver.ConstraintError, "run `mastery check`: it names constraints that are not ours"),
    (driver.ConfigurationError, "check NEO4J_URI"),
)


def failure(error: BaseException) -> GraphUnavailable | GraphRefused | None:
    """Translate an error of the driver or the network; return None for any other error.

    An unknown error of the server becomes `GraphRefused`: stopping with a message is better than
    waiting for ever.
    """
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, driver.Neo4jError) and error.code in _TOO_SLOW_CODES:
        return GraphTooSlow(reason)
    if isinstance(error, _WAIT):
        return GraphUnavailable(reason)
    if isinstance(error, driver.Neo4jError):
        code = error.code or ""
        # A DatabaseError is a fault of the server, such as a full disk, unless it is about a
        # schema statement of ours.
        troubled = isinstance(error, driver.DatabaseError) and ".Schema." not in code
        if troubled or error.is_retryable() or code in _WAIT_CODES:
            return GraphUnavailable(reason)
    if isinstance(error, driver.GqlError):
        return GraphRefused(f"the graph refuses: {reason}; {_remedy(error)}")
    if type(error).__module__.startswith("neo4j."):
        # The driver's private errors mean a broken connection.
        return GraphUnavailable(reason)
    return None


def _remedy(error: driver.GqlError) -> str:
    code = (error.code or "") if isinstance(error, driver.Neo4jError) else ""
    if ".Database." in code:
        return "check NEO4J_DATABASE"
    if "ReadOnly" in code:
        return "make the database writable, or name another in NEO4J_DATABASE"
    for kind, remedy in _REMEDIES:
        if isinstance(error, kind):
            return remedy
    return "check that the server is Neo4j 5 or newer and that `mastery check` finds nothing"


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors in place of the driver's."""
    try:
        yield
    except Exception as error:
        ours = failure(error)
        if ours is None:
            raise
        raise ours from error
