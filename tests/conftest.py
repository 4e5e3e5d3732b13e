"""Fixtures that lend a real server to one test: its own, empty, and given back afterwards."""

import asyncio
import functools
import logging
import os
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Final

import httpx
import pytest
import structlog
from hypothesis import is_hypothesis_test, settings

# numpy reads it at its import, and processes that tests start inherit it: on the small matrices of
# tests, more threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Pytest explains the assertions of helpers too, if it is told so before it imports them.
pytest.register_assert_rewrite("tests.support")

from tests.support.examples import EVERYDAY_EXAMPLES, THOROUGH  # noqa: E402
from tests.support.groups import GroupsPlugin  # noqa: E402
from tests.support.preloaded import Preloaded  # noqa: E402
from tests.support.servers import (  # noqa: E402
    NO_SERVER,
    Neo4j,
    Supabase,
    exclusive_neo4j,
    exclusive_redis,
    exclusive_supabase,
    fresh_database,
    server_variables,
)
from workers.ledger.schema.embedded import EmbeddedPostgres  # noqa: E402

# A busy machine is no failure; time is measured in bench/.
settings.register_profile("thorough", deadline=None)
settings.register_profile("everyday", deadline=None, max_examples=EVERYDAY_EXAMPLES)
settings.load_profile("thorough" if THOROUGH else "everyday")


_SERVER_FIXTURES: Final = {
    "chromium", "database_url", "empty_database_url", "neo4j", "node_modules", "package",
    "postgres_server", "redis_url", "supabase", "world",
}  # fmt: skip
_SERVER_PARAMETERS: Final = {"direct", "neo4j", "postgrest", "supabase"}


def pytest_configure(config: pytest.Config) -> None:
    """Group tests that share something into one process."""
    config.pluginmanager.register(GroupsPlugin())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a server: ``pytest -m "not servers"`` skips none of the others."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        call = getattr(item, "callspec", None)
        parameters = () if call is None else call.params.values()
        if fixtures & _SERVER_FIXTURES or not _SERVER_PARAMETERS.isdisjoint(
            parameter for parameter in parameters if isinstance(parameter, str)
        ):
            item.add_marker("servers")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Run property tests and those marked `untraced` without coverage.

    They run lines hundreds of times that other tests run once, up to three times as slowly with
    coverage. Its own pause leaves another tracer behind in processes of pytest-xdist.
    """
    is_property = is_hypothesis_test(getattr(item, "obj", None))
    if not is_property and item.get_closest_marker("untraced") is None:
        return (yield)
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that misses its server without being marked."""
    report = yield
    missed = call.excinfo is not None and NO_SERVER in str(call.excinfo.value)
    if missed and report.skipped and item.get_closest_marker("servers") is None:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} needs a server: mark it with `pytest.mark.servers`"
    return report


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Keep what a command sets up for its logs from the tests after it."""
    configured, config, root = (
        structlog.is_configured(),
        structlog.get_config(),
        logging.getLogger(),
    )
    handlers, level = root.handlers[:], root.level
    yield
    if configured:
        structlog.configure(**config)
    else:
        structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def _certificates_once() -> Iterator[None]:
    """Load the certificates of authorities once: it takes longer than most tests of HTTP."""
    with pytest.MonkeyPatch.context() as patched:
        load = functools.cache(httpx.create_ssl_context)
        patched.setattr("httpx._transports.default.create_ssl_context", load)
        yield


@pytest.fixture(scope="session")
def embedded_postgres() -> Iterator[EmbeddedPostgres]:
    """An embedded Postgres for all tests that need one, because a start takes seconds.

    Its own database is migrated and nobody's: each user creates another (`embedded_database`).
    """
    server = EmbeddedPostgres()
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture(scope="session")
def preloaded() -> Iterator[Preloaded]:
    """A process that has imported the engine: its forks are workers at once."""
    process = Preloaded()
    yield process
    process.close()


@pytest.fixture(autouse=True)
def _workers_start_at_once(
    request: pytest.FixtureRequest, preloaded: Preloaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fork workers, except in acceptance tests: they start the command that users start."""
    if "acceptance" not in request.path.parts:
        monkeypatch.setattr("tests.support.whole_run.execute", preloaded.start)


@pytest.fixture
async def redis_url() -> AsyncIterator[str]:
    """An empty logical database of a real Redis."""
    (url,) = server_variables("TEST_REDIS_URL")
    async with exclusive_redis(url) as own:
        yield own


@pytest.fixture
async def database_url() -> AsyncIterator[str]:
    """A new, migrated database of a plain Postgres, as its superuser."""
    (url,) = server_variables("TEST_DATABASE_URL")
    async with fresh_database(url, migrated=True) as own:
        yield own


@pytest.fixture
async def empty_database_url() -> AsyncIterator[str]:
    """A new database of a plain Postgres before any migration, as its superuser."""
    (url,) = server_variables("TEST_DATABASE_URL")
    async with fresh_database(url, migrated=False) as own:
        yield own


@pytest.fixture
async def supabase() -> AsyncIterator[Supabase]:
    """A local Supabase project, newly migrated and empty."""
    url, service_role_key, publishable_key, database_url, jwt_secret = server_variables(
        "TEST_SUPABASE_URL",
        "TEST_SUPABASE_SERVICE_ROLE_KEY",
        "TEST_SUPABASE_PUBLISHABLE_KEY",
        "TEST_SUPABASE_DATABASE_URL",
        "TEST_JWT_SECRET",
    )
    project = Supabase(
        url=url,
        service_role_key=service_role_key,
        publishable_key=publishable_key,
        database_url=database_url,
        jwt_secret=jwt_secret,
    )
    async with exclusive_supabase(project) as own:
        yield own


@pytest.fixture
async def neo4j() -> AsyncIterator[Neo4j]:
    """A Neo4j server without any node."""
    uri, username, password = server_variables(
        "TEST_NEO4J_URI", "TEST_NEO4J_USERNAME", "TEST_NEO4J_PASSWORD"
    )
    async with exclusive_neo4j(Neo4j(uri=uri, username=username, password=password)) as own:
        yield own
