"""One ledger after the other: in memory, and over each transport to a real Postgres."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.support.postgres_connections import embedded_database
from tests.support.servers import Supabase, exclusive_supabase, fresh_database, server_variables
from workers.estimation.learner import LearnerKey
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.protocol import Ledger
from workers.ledger.schema.embedded import EmbeddedPostgres
from workers.ledger.sql.direct import DirectLedger
from workers.ledger.sql.postgrest import PostgrestLedger

OpenLedger = Callable[[], Ledger]
"""Opens another ledger on the same data, as another process would; closed at the end."""


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["memory", "embedded", "direct", "postgrest"]
)
async def open_ledger(
    request: pytest.FixtureRequest, embedded_postgres: EmbeddedPostgres
) -> AsyncIterator[OpenLedger]:
    """The adapters, one after the other; each on a database that only this module's tests use."""
    async with AsyncExitStack() as stack:
        make = await _maker(request.param, embedded_postgres, stack)

        def opened() -> Ledger:
            ledger = make()
            stack.push_async_callback(ledger.close)
            return ledger

        yield opened


@pytest.fixture(scope="module")
def ledger(open_ledger: OpenLedger) -> Ledger:
    """A ledger that the module's tests share."""
    return open_ledger()


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test writes to."""
    return f"t-{uuid.uuid4().hex}"


@pytest.fixture
def key(tenant: str) -> LearnerKey:
    """A learner that the ledger does not know."""
    return LearnerKey(tenant, "student-42")


async def _maker(adapter: str, embedded: EmbeddedPostgres, stack: AsyncExitStack) -> OpenLedger:
    if adapter == "memory":
        memory = MemoryLedger()
        return lambda: memory
    if adapter == "embedded":
        dsn = await stack.enter_async_context(embedded_database(embedded, migrated=True))
        return lambda: DirectLedger(dsn)
    if adapter == "direct":
        (url,) = server_variables("TEST_DATABASE_URL")
        own = await stack.enter_async_context(fresh_database(url, migrated=True))
        return lambda: DirectLedger(own)
    project = await stack.enter_async_context(exclusive_supabase(supabase_project()))
    return lambda: PostgrestLedger(project.url, project.service_role_key)


def supabase_project() -> Supabase:
    """The Supabase project of the tests, from the environment."""
    url, service_role_key, publishable_key, database_url, jwt_secret = server_variables(
        "TEST_SUPABASE_URL",
        "TEST_SUPABASE_SERVICE_ROLE_KEY",
        "TEST_SUPABASE_PUBLISHABLE_KEY",
        "TEST_SUPABASE_DATABASE_URL",
        "TEST_JWT_SECRET",
    )
    return Supabase(
        url=url,
        service_role_key=service_role_key,
        publishable_key=publishable_key,
        database_url=database_url,
        jwt_secret=jwt_secret,
    )
