"""A Postgres for all fault runs of a session: they stop, crash and freeze it, and it comes back."""

from collections.abc import Iterator

import pytest

from tests.faults.servers import PostgresServer, scratch


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A cluster of our own; whoever uses it asks first that it serves."""
    with scratch() as directory:
        server = PostgresServer(directory / "postgres")
        server.create()
        try:
            yield server
        finally:
            server.process.stop()
