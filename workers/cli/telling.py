"""Telling subscribers, from a command, of what it has just changed."""

from redis.asyncio import Redis

from workers.common.errors import Unavailable
from workers.config.settings import Settings
from workers.ledger.repair import RepairLedger
from workers.publishing.outbox_relay import OutboxRelay


async def tell(ledger: RepairLedger, settings: Settings) -> tuple[int, str | None]:
    """Tell what is waiting.

    Returns:
        How many events were published; and why the rest is left to the next worker, if it is.
    """
    if settings.redis_url is None:
        # An embedded Redis of this command's own would end with it, and the events too.
        return 0, "REDIS_URL is unset"
    client = Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=5)
    relay = OutboxRelay(ledger=ledger, client=client, shard_count=settings.stream_shards)
    try:
        return await relay.publish(), None
    except Unavailable as error:
        return 0, str(error)
    finally:
        await client.aclose()


def told_line(told: int, left: str | None) -> str:
    """What came of it, for a person."""
    if left is not None:
        return f"subscribers will be told by the next worker ({left})"
    return f"{told} events published"
