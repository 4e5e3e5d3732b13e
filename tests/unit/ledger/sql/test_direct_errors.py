"""Every error of asyncpg means one of three things: wait, try alone, or stop with a remedy."""

import inspect
from collections.abc import Iterator

import asyncpg
import pytest

from workers.common.errors import (
    LedgerRefused,
    LedgerTooSlow,
    LedgerUnavailable,
    MasteryError,
    Unstorable,
)
from workers.ledger.sql.direct import LIBRARY_ERRORS, DirectLedger, from_asyncpg
from workers.ledger.sql.sqlstate import ledger_error

WAIT, ALONE, STOP = LedgerUnavailable, Unstorable, LedgerRefused

# By class of SQLSTATE, PostgreSQL manual, appendix A; those of a longer key first.
MEANING: dict[str, type[MasteryError]] = {
    "00": STOP, "01": STOP, "02": STOP, "03": STOP, "08": WAIT, "09": STOP, "0A": STOP,
    "0A000": WAIT, "25P02": WAIT, "XX000": WAIT,
    "0B": STOP, "0F": STOP, "0L": STOP, "0P": STOP, "0Z": STOP, "10": STOP, "20": STOP,
    "21": ALONE, "22": ALONE, "23": ALONE, "24": STOP, "25": STOP, "25006": WAIT, "25P03": WAIT,
    "25P04": WAIT, "26": STOP, "27": STOP, "28": STOP, "2B": STOP, "2D": STOP, "2F": STOP,
    "34": STOP, "38": STOP, "39": STOP, "3B": STOP, "3D": STOP, "3F": STOP, "40": WAIT,
    "42": STOP, "44": STOP, "53": WAIT, "54": ALONE, "55": WAIT, "57": WAIT, "57014": LedgerTooSlow,
    "58": WAIT,
    "72": STOP, "F0": STOP, "HV": STOP, "P0": STOP, "XX": STOP,
}  # fmt: skip


def errors() -> Iterator[type[Exception]]:
    for name in dir(asyncpg.exceptions):
        kind = getattr(asyncpg.exceptions, name)
        if inspect.isclass(kind) and issubclass(kind, Exception) and not issubclass(kind, Warning):
            yield kind


SERVER_ERRORS = [e for e in errors() if issubclass(e, asyncpg.PostgresError) and e.sqlstate]
CLIENT_ERRORS = {
    asyncpg.InterfaceError: WAIT,
    asyncpg.InternalClientError: WAIT,
    asyncpg.OutdatedSchemaCacheError: WAIT,
    asyncpg.ProtocolError: WAIT,
    asyncpg.TargetServerAttributeNotMatched: WAIT,
    asyncpg.ClientConfigurationError: STOP,
    asyncpg.UnsupportedClientFeatureError: STOP,
    asyncpg.UnsupportedServerFeatureError: STOP,
}


@pytest.mark.parametrize("kind", SERVER_ERRORS, ids=lambda kind: kind.__name__)
def test_given_any_error_of_the_server_then_it_means_what_its_class_says(
    kind: type[asyncpg.PostgresError],
) -> None:
    state = str(kind.sqlstate)
    expected = MEANING.get(state) or MEANING[state[:2]]

    error = from_asyncpg(kind("message of the server"))

    assert type(error) is expected
    assert "message of the server" in str(error)
    assert state in str(error)


def test_given_all_errors_of_asyncpg_then_each_is_caught_with_a_meaning() -> None:
    assert len(SERVER_ERRORS) > 200
    for kind in errors():
        assert issubclass(kind, LIBRARY_ERRORS), kind
        assert isinstance(from_asyncpg(kind("x")), WAIT | ALONE | STOP)


@pytest.mark.parametrize(("kind", "expected"), CLIENT_ERRORS.items())
def test_given_an_error_of_the_client_then_only_a_wrong_setting_stops(
    kind: type[Exception], expected: type[MasteryError]
) -> None:
    error = from_asyncpg(kind("text"))
    assert type(error) is expected
    assert "DATABASE_URL" in str(error)


def test_given_all_errors_of_the_client_then_the_table_has_them() -> None:
    kinds = {kind for kind in errors() if not issubclass(kind, asyncpg.PostgresError)}
    assert kinds == set(CLIENT_ERRORS)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError("refused"), WAIT),
        (TimeoutError(), WAIT),
        (OSError("no route"), WAIT),
        (asyncpg.DataError("invalid input"), ALONE),
        (UnicodeError("label too long"), STOP),
        (asyncpg.PostgresError("no state at all"), STOP),
    ],
)
def test_given_what_asyncpg_lets_through_then_it_means_something(
    error: Exception, expected: type[MasteryError]
) -> None:
    assert type(from_asyncpg(error)) is expected


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        ("3D000", "create the database"),
        ("28P01", "correct user and password"),
        ("28000", "correct user and password"),
        ("42501", "service role's key"),
        ("42883", "mastery migrate up"),
        ("42P01", "mastery migrate up"),
        ("3F000", "mastery migrate up"),
        ("26000", "port 6543"),
        ("42P05", "port 6543"),
        ("XX001", "log of Postgres"),
    ],
)
def test_given_a_refusal_then_its_remedy_is_named(state: str, remedy: str) -> None:
    assert remedy in str(ledger_error(state, "text"))


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://u:secret@127.0.0.1:1/db", LedgerUnavailable),
        ("postgresql://u:secret@host.invalid/db", LedgerUnavailable),
        (f"postgresql://u:secret@{'a' * 70}.example/db", LedgerRefused),
        ("postgresql://u:secret@127.0.0.1/db?sslmode=nonsense", LedgerRefused),
    ],
)
async def test_given_a_url_to_nowhere_then_it_is_named_without_the_password(
    dsn: str, expected: type[MasteryError]
) -> None:
    ledger = DirectLedger(dsn, timeout_s=3)

    with pytest.raises(expected, match="DATABASE_URL") as failure:
        await ledger.ping()

    assert "secret" not in str(failure.value)
    await ledger.close()
    await ledger.close()
