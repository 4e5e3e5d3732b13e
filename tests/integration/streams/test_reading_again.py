"""Redis goes away and comes back: reading goes on at once, and is not claimed before."""

import asyncio
import time

import pytest
from redis.asyncio import Redis

from tests.faults.servers import RedisServer, scratch
from tests.support.stream_reader import Reader, add, reading, until

pytestmark = pytest.mark.servers

SOON_S = 2.5
"""A second, and what a busy machine needs; FastStream alone would sleep for 5 s."""


def alive(reader: Reader) -> bool:
    return reader.consumption.alive


@pytest.mark.parametrize("kept", [True, False])
async def test_given_redis_was_away_then_it_is_read_at_once_when_back(kept: bool) -> None:
    with scratch() as directory:
        server = RedisServer(directory / "redis")
        await server.start()
        async with (
            Redis.from_url(server.url) as redis,
            reading(server.url, redis) as reader,
        ):
            await add(redis, "before")
            await reader.read(1)
            assert alive(reader)

            server.process.kill()
            await until(lambda: not alive(reader), 10)
            await asyncio.sleep(0.5)
            assert not alive(reader)
            if not kept:
                for file in (directory / "redis").rglob("*.aof*"):
                    file.unlink()
            await server.start()
            begun = time.monotonic()
            await add(redis, "after")
            await reader.read(2)
            await until(lambda: alive(reader))

            assert time.monotonic() - begun < SOON_S
            assert reader.events == [b"before", b"after"]
        server.process.kill()
