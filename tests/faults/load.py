"""The load of a fault run: responses as they come in practice, late, repeated, and never lost."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.streams import RESPONSES
from tests.support.whole_run import event_of, simulated_rows

REPEATED = 0.30
"""Share of the responses that are published a second time, some time later."""
LATE = 0.10
"""Share of the responses that are published after later ones of the same learner."""

_SLICE = 25
_AGAIN_S = 0.2


def published(rows: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """The order of publication: each learner's own, but for the late and the repeated ones."""
    chance = random.Random(seed)
    count = len(rows)
    ordered = sorted(rows, key=lambda row: (row["answered_at"], row["response_id"]))
    places = []
    for place, row in enumerate(ordered):
        delay = chance.uniform(1, count / 2) if chance.random() < LATE else 0
        places.append((place + delay, row))
        if chance.random() < REPEATED:
            places.append((place + delay + chance.uniform(0, count / 10), row))
    return [row for _, row in sorted(places, key=lambda place: place[0])]


class Load:
    """A publisher: adds events at a steady rate, and each that may have been lost once more.

    Args:
        redis_url: where to.
        responses: how many different ones.
        rate: events a second.
        students: who answer.
        seed: of all chance.
    """

    def __init__(
        self, redis_url: str, responses: int, *, rate: float, students: int, seed: int
    ) -> None:
        self.rows = simulated_rows(responses, students, seed)
        self.entries = published(self.rows, seed)
        self.rate = rate
        self.seed = seed
        self._redis_url = redis_url
        self._issued_at = int(time.time())
        self.unsure = 0
        """Events that were published again, since nobody said whether they had been added."""
        self.added = 0

    async def run(self) -> None:
        """Publish everything; while Redis is away or refuses, wait."""
        async with Redis.from_url(self._redis_url, socket_timeout=2) as client:
            began = time.monotonic()
            for start in range(0, len(self.entries), _SLICE):
                rows = self.entries[start : start + _SLICE]
                while not await self._added(client, rows):
                    self.unsure += len(rows)
                    await asyncio.sleep(_AGAIN_S)
                self.added += len(rows)
                await asyncio.sleep(began + self.added / self.rate - time.monotonic())

    async def again(self) -> None:
        """Publish every response once more: what a publisher does after Redis lost data."""
        async with Redis.from_url(self._redis_url) as client:
            for start in range(0, len(self.rows), 500):
                assert await self._added(client, self.rows[start : start + 500])

    async def _added(self, client: "Redis", rows: Sequence[dict[str, Any]]) -> bool:
        try:
            async with client.pipeline(transaction=False) as pipeline:
                for row in rows:
                    pipeline.xadd(RESPONSES, {"event": event_of(row, self._issued_at)})
                await pipeline.execute()
        except (RedisError, OSError):
            return False
        return True
