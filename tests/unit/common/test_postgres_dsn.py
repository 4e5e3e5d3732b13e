"""Tests of what a DSN says about a transaction pooler."""

import pytest

from workers.common.postgres_dsn import address

_HOST = "postgresql://mastery:p%40ss@host"


@pytest.mark.parametrize(
    ("dsn", "plain", "pooled"),
    [
        (f"{_HOST}:5432/db", f"{_HOST}:5432/db", None),
        (f"{_HOST}/db", f"{_HOST}/db", None),
        (f"{_HOST}:6543/db", f"{_HOST}:6543/db", True),
        (f"{_HOST}/db?port=6543", f"{_HOST}/db?port=6543", True),
        (f"{_HOST}:6432/db?pgbouncer=true", f"{_HOST}:6432/db", True),
        (f"{_HOST}:6543/db?pgbouncer=FALSE", f"{_HOST}:6543/db", False),
        (
            f"{_HOST}/db?sslmode=require&pgbouncer=true&sslrootcert=/a%20b",
            f"{_HOST}/db?sslmode=require&sslrootcert=/a%20b",
            True,
        ),
    ],
)
def test_given_a_dsn_then_its_parameter_and_its_port_tell(
    dsn: str, plain: str, pooled: bool | None
) -> None:
    assert address(dsn) == (plain, pooled)


@pytest.mark.parametrize("query", ["pgbouncer=yes", "pgbouncer=true&port=x"])
def test_given_a_value_that_is_none_then_it_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match=r"must be true or false|no number"):
        address(f"{_HOST}/db?{query}")
