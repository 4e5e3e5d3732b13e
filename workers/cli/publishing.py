"""Publish the changes of a command to subscribers."""

from workers.common.errors import Unavailable
from workers.config.settings import Settings
from workers.ledger.outbox import OutboxLedger
from workers.publishing.outbox_relay import OutboxRelay
from workers.streams.connection import client_of


async def publish_pending(ledger: OutboxLedger, settings: Settings) -> tuple[int, str | None]:
    """Publish all pending changes of the outbox.

    Returns:
        The number of published events, and the reason if the next worker has to publish the rest.
    """
    if settings.redis_url is None:
        # An embedded Redis ends with this command and would lose the events.
        return 0, "REDIS_URL is unset"
    client = client_of(settings.redis_url)
    relay = OutboxRelay(ledger=ledger, client=client, shard_count=settings.stream_shards)
    try:
        return await relay.publish(), None
    except Unavailable as error:
        return 0, str(error)
    finally:
        await client.aclose()


def published_line(published: int, left: str | None) -> str:
    """Describe the outcome of `publish_pending` in one line."""
    if left is not None:
        return f"the next worker will publish the changes ({left})"
    return f"{published} events published"
