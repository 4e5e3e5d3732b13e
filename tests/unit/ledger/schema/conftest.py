"""An embedded Postgres for the tests of one file."""

import asyncio
from collections.abc import Iterator

import pytest

from workers.ledger.schema.embedded import EmbeddedPostgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres()
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())
