"""Redis's clock decides, unless this worker's own says that one of them is wrong."""

import time

import pytest

from workers.common.errors import ClocksDiffer
from workers.streams.embedded_redis import EmbeddedRedis
from workers.streams.redis_clock import RedisClock


@pytest.mark.parametrize("own_s", [-59, 0, 59])
async def test_given_clocks_that_nearly_agree_then_redis_decides(own_s: float) -> None:
    redis = EmbeddedRedis()
    clock = RedisClock(redis.client(), own=lambda: time.time() + own_s)

    assert abs(await clock.now_ms() / 1000 - time.time()) < 10
    await clock.check()
    await redis.close()


@pytest.mark.parametrize(("own_s", "way"), [(400, "behind"), (-86_400, "ahead of")])
async def test_given_clocks_far_apart_then_nothing_is_told_by_either(
    own_s: float, way: str
) -> None:
    redis = EmbeddedRedis()
    clock = RedisClock(redis.client(), own=lambda: time.time() + own_s)

    for ask in (clock.now_ms, clock.check):
        with pytest.raises(ClocksDiffer, match=rf"redis's clock is \d+ s {way} this worker's"):
            await ask()
    await redis.close()


async def test_given_a_slow_answer_then_its_time_is_no_difference() -> None:
    redis = EmbeddedRedis()
    times = iter((time.time() - 100, time.time() + 100))

    await RedisClock(redis.client(), own=lambda: next(times)).now_ms()
    await redis.close()
