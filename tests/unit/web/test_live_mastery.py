"""The one reader of all who follow outlives whatever happens to it."""

import asyncio
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from contracts.streams import MASTERY
from tests.support.http_callers import store
from workers.estimation.learner import LearnerKey
from workers.web.sockets import mastery as module
from workers.web.sockets.mastery import LiveMastery

_KEY = LearnerKey("school-7", "s1")
_WITHIN_S = 30.0


class _Failing(LiveMastery):
    """Fails at the first event."""

    failed = False

    def deliver(self, event: bytes | None) -> None:
        if not self.failed:
            self.failed = True
            raise RecursionError
        super().deliver(event)


async def test_given_an_event_that_fails_when_read_then_the_next_still_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_AWAY_S", 0.01)
    async with store() as redis:
        live = _Failing(redis, [MASTERY])
        with capture_logs() as logs:
            async with live.following(_KEY) as queue:
                for version in range(3):
                    data = {**_KEY._asdict(), "version": version}
                    await redis.xadd(MASTERY, {"event": orjson.dumps({"data": data})})
                async with asyncio.timeout(_WITHIN_S):
                    said = [orjson.loads(await queue.take())["version"] for _ in range(2)]

    assert said == [1, 2]
    assert [line["event"] for line in logs] == ["live_mastery_failed"]


async def test_given_old_shards_found_later_then_their_events_arrive_too() -> None:
    old: list[str] = []
    async with store() as redis:
        live = LiveMastery(redis, [MASTERY], lambda: old)
        await redis.xadd(f"{MASTERY}.{{0}}", _event(0), id="1-0")
        async with live.following(_KEY) as queue:
            seconds, microseconds = await redis.time()
            now = f"{seconds * 1000 + microseconds // 1000}-0"
            await redis.xadd(f"{MASTERY}.{{0}}", _event(1), id=now)
            old.append(f"{MASTERY}.{{0}}")
            await redis.xadd(MASTERY, _event(2))
            async with asyncio.timeout(_WITHIN_S):
                said = {orjson.loads(await queue.take())["version"] for _ in range(2)}

    assert said == {1, 2}


def _event(version: int) -> dict[Any, Any]:
    return {"event": orjson.dumps({"data": {**_KEY._asdict(), "version": version}})}
