import inspect
import ssl
from collections.abc import Iterator
from types import ModuleType

import neo4j._exceptions as private
import pytest
from neo4j import exceptions as public

from workers.common.errors import GraphRefused, GraphTooSlow, GraphUnavailable
from workers.graph.failures import failure, translated

WAITS: set[type[Exception]] = {
    public.ServiceUnavailable,
    public.RoutingServiceUnavailable,
    public.WriteServiceUnavailable,
    public.ReadServiceUnavailable,
    public.IncompleteCommit,
    public.SessionExpired,
    public.ConnectionPoolError,
    public.ConnectionAcquisitionTimeoutError,
    public.TransientError,
    public.DatabaseUnavailable,
    public.NotALeader,
    public.ForbiddenOnReadOnlyDatabase,
    public.DatabaseError,
}
STOPS: set[type[Exception]] = {
    public.GqlError,
    public.Neo4jError,
    public.ClientError,
    public.CypherSyntaxError,
    public.CypherTypeError,
    public.ConstraintError,
    public.Forbidden,
    public.AuthError,
    public.TokenExpired,
    public.DriverError,
    public.SessionError,
    public.TransactionError,
    public.TransactionNestingError,
    public.ResultError,
    public.ResultFailedError,
    public.ResultConsumedError,
    public.ResultNotSingleError,
    public.BrokenRecordError,
    public.ConfigurationError,
    public.AuthConfigurationError,
    public.CertificateConfigurationError,
    public.UnsupportedServerProduct,
}


def _errors_of(module: ModuleType) -> Iterator[type[Exception]]:
    for member in vars(module).values():
        if (
            inspect.isclass(member)
            and issubclass(member, Exception)
            and member.__module__ == module.__name__
        ):
            yield member


def _answered(code: str) -> public.Neo4jError:
    return public.Neo4jError._hydrate_neo4j(code=code, message="what\nhappened")


def test_given_the_driver_then_every_error_of_its_is_decided_here() -> None:
    assert set(_errors_of(public)) == WAITS | STOPS


@pytest.mark.parametrize("kind", sorted(WAITS, key=repr))
def test_given_an_error_that_passes_then_the_graph_is_unavailable(kind: type[Exception]) -> None:
    assert isinstance(failure(kind("what happened")), GraphUnavailable)


@pytest.mark.parametrize("kind", sorted(STOPS, key=repr))
def test_given_an_error_that_stays_then_the_graph_refuses(kind: type[Exception]) -> None:
    assert isinstance(failure(kind("what happened")), GraphRefused)


@pytest.mark.parametrize("kind", list(_errors_of(private)))
def test_given_a_private_error_of_the_driver_then_the_graph_is_unavailable(
    kind: type[Exception],
) -> None:
    # Their constructors differ and say nothing of use here.
    assert isinstance(failure(kind.__new__(kind)), GraphUnavailable)


@pytest.mark.parametrize(
    "kind", [OSError, TimeoutError, ConnectionResetError, BrokenPipeError, ssl.SSLError]
)
def test_given_an_error_of_the_network_then_the_graph_is_unavailable(kind: type[OSError]) -> None:
    assert isinstance(failure(kind("gone")), GraphUnavailable)


@pytest.mark.parametrize("kind", [ValueError, OverflowError, KeyError, GraphRefused])
def test_given_an_error_of_nobody_we_know_then_it_is_left_alone(kind: type[Exception]) -> None:
    error = kind("ours")

    assert failure(error) is None
    with pytest.raises(kind) as raised, translated():
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    "code",
    [
        "Neo.TransientError.Transaction.DeadlockDetected",
        "Neo.TransientError.General.OutOfMemoryError",
        "Neo.TransientError.Database.DatabaseUnavailable",
        "Neo.TransientError.Transaction.Terminated",
        "Neo.TransientError.Transaction.LockClientStopped",
        "Neo.ClientError.Cluster.NotALeader",
        "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase",
        "Neo.ClientError.Security.AuthenticationRateLimit",
        "Neo.ClientError.Security.AuthorizationExpired",
        "Neo.ClientError.Transaction.TransactionMarkedAsFailed",
        "Neo.ClientError.Transaction.TransactionNotFound",
        "Neo.ClientError.Transaction.TransactionTerminated",
        "Neo.DatabaseError.General.UnknownError",
        "Neo.DatabaseError.Transaction.TransactionCommitFailed",
    ],
)
def test_given_an_answer_that_passes_then_the_graph_is_unavailable(code: str) -> None:
    ours = failure(_answered(code))

    assert isinstance(ours, GraphUnavailable)
    assert "\n" not in ours.reason


@pytest.mark.parametrize(
    "code",
    [
        "Neo.ClientError.Transaction.TransactionTimedOut",
        "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
        "Neo.TransientError.General.MemoryPoolOutOfMemoryError",
        "Neo.TransientError.General.TransactionOutOfMemoryError",
    ],
)
def test_given_a_transaction_too_large_then_less_is_to_be_merged(code: str) -> None:
    assert isinstance(failure(_answered(code)), GraphTooSlow)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("Neo.ClientError.Security.Unauthorized", "NEO4J_USERNAME and NEO4J_PASSWORD"),
        ("Neo.ClientError.Security.CredentialsExpired", "mastery check"),
        ("Neo.ClientError.Security.Forbidden", "grant the user the right"),
        ("Neo.ClientError.Database.DatabaseNotFound", "NEO4J_DATABASE"),
        ("Neo.ClientError.General.WriteOnReadOnlyAccessDatabase", "database writable"),
        ("Neo.ClientError.Schema.ConstraintValidationFailed", "not ours"),
        ("Neo.ClientError.Schema.IndexAlreadyExists", "mastery check"),
        ("Neo.ClientError.Statement.SyntaxError", "Neo4j 5 or newer"),
        ("Neo.DatabaseError.Schema.ConstraintCreationFailed", "mastery check"),
    ],
)
def test_given_a_lasting_error_then_the_graph_refuses_and_names_the_remedy(
    code: str, remedy: str
) -> None:
    ours = failure(_answered(code))

    assert isinstance(ours, GraphRefused)
    assert remedy in str(ours)


def test_given_a_wrong_uri_then_the_remedy_names_the_setting() -> None:
    assert "NEO4J_URI" in str(failure(public.ConfigurationError("scheme")))


def test_given_an_error_of_the_driver_when_translated_then_it_is_the_cause() -> None:
    error = public.SessionExpired("gone")

    with pytest.raises(GraphUnavailable) as raised, translated():
        raise error

    assert raised.value.__cause__ is error


def test_given_an_error_without_words_then_the_reason_is_its_name() -> None:
    ours = failure(ConnectionResetError())

    assert isinstance(ours, GraphUnavailable)
    assert ours.reason == "ConnectionResetError"
