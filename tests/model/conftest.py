"""The world of the model: servers of its own for all runs of a session, and how long it runs.

``pytest tests/model --hypothesis-profile=long`` runs it longer, another way each time.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from unittest.mock import patch

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings

from tests.model.world import World
from tests.support.servers import exclusive_redis, fresh_database, server_variables
from workers.estimation import snapshots
from workers.ledger.sql import load
from workers.ledger.sql import snapshots as snapshot_columns

_COMMON: Final[dict[str, Any]] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
    "report_multiple_bugs": False,
    "phases": (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
}
# The same runs each time: what CI finds, everybody finds.
settings.register_profile(
    "model", max_examples=100, stateful_step_count=40, derandomize=True, database=None, **_COMMON
)
settings.register_profile("long", max_examples=5_000, stateful_step_count=60, **_COMMON)


@pytest.fixture(autouse=True, scope="module")
def close_snapshots() -> Iterator[None]:
    """Take snapshots after few answers, and replay few with a batch: short runs then have both."""
    with (
        patch.object(snapshots, "EVERY", 3),
        patch.object(snapshot_columns, "EVERY", 3),
        patch.object(load, "MOST_REPLAYED", 2),
    ):
        yield


@pytest.fixture(scope="session")
def model_settings() -> settings:
    """Those of the profile that was asked for, else the short ones."""
    long = settings.get_current_profile_name() == "long"
    return settings.get_profile("long" if long else "model")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Real servers with nothing in them, and a loop."""
    redis_url, dsn = server_variables("TEST_REDIS_URL", "TEST_DATABASE_URL")
    # A hundred runs log tens of thousands of lines, of which pytest would show all or none.
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        opened = runner.run(stack.enter_async_context(_opened(runner, redis_url, dsn)))
        try:
            yield opened
        finally:
            runner.run(stack.aclose())
            structlog.reset_defaults()


@asynccontextmanager
async def _opened(runner: asyncio.Runner, redis_url: str, dsn: str) -> AsyncIterator[World]:
    async with (
        exclusive_redis(redis_url) as own_redis,
        fresh_database(dsn, migrated=True) as own_database,
    ):
        world = World(runner, own_redis, own_database)
        await world.open()
        try:
            yield world
        finally:
            await world.close()
