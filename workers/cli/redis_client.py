"""Open the Redis of the workers for a command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from workers.common.errors import SettingsError
from workers.config.settings import Settings
from workers.streams.connection import client_of


@asynccontextmanager
async def redis_of_workers(settings: Settings, what: str) -> AsyncIterator[Redis]:
    """Open a client that soon gives up, because a person waits for the answer.

    Args:
        settings: the settings.
        what: what an embedded Redis would lose, for the message.

    Raises:
        SettingsError: the settings name no Redis.
    """
    if settings.redis_url is None:
        raise SettingsError(
            f"REDIS_URL is unset: an embedded Redis ends with its process and loses its {what}; "
            "set REDIS_URL to the Redis of the worker"
        )
    client = client_of(
        settings.redis_url,
        # redis-py's default retries for half a minute.
        retry=Retry(ExponentialBackoff(cap=1, base=0.1), retries=3),
    )
    async with client:
        yield client
