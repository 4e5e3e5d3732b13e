"""A lease while Redis does not answer: reading stops when it has run out, and goes on later."""

import time

import pytest
from redis.asyncio import Redis

from contracts.streams import RESPONSES
from tests.faults.servers import RedisServer, scratch
from tests.support.lease_holders import LeaseHolder, holding
from tests.support.stream_reader import until
from workers.common.errors import RedisUnavailable

_RUN_OUT_S = 8.0
_BACK_S = 5.0


async def test_given_a_frozen_redis_then_reading_stops_with_the_lease() -> None:
    with scratch() as directory:
        server = RedisServer(directory / "redis")
        await server.start()
        try:
            async with (
                Redis.from_url(server.url) as client,
                holding(LeaseHolder(client, "a")) as holder,
            ):
                await until(lambda: holder.reading == [RESPONSES])
                server.process.freeze()
                began = time.monotonic()
                await until(lambda: holder.reading == [], _RUN_OUT_S)
                assert time.monotonic() - began > 1
                with pytest.raises(RedisUnavailable):
                    holder.readers.check()
                server.process.thaw()
                await until(lambda: holder.reading == [RESPONSES], _BACK_S)
                await until(lambda: not holder.readers.others)
        finally:
            server.process.kill()
