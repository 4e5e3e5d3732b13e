"""The Python client in its two forms, with one face for tests: asyncio, and plain in threads."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

import redis
import redis.asyncio

from contracts import MasteryChanged
from contracts import client as plain
from contracts.client import Delivery
from contracts.client import asyncio as aio

Form = Literal["plain", "asyncio"]
_PATIENCE_S = 60.0


class Subscription:
    """A running subscription, and what it has handled."""

    def __init__(self) -> None:
        self.events: list[MasteryChanged] = []
        self.deliveries: list[Delivery] = []
        self.disturbances: list[Exception] = []
        self._stop: Callable[[], None] = lambda: None
        self._ended: asyncio.Future[None] | None = None

    @property
    def versions(self) -> list[int]:
        return [event.data.version for event in self.events]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds; raise what the subscription raises."""
        assert self._ended is not None
        end = time.monotonic() + _PATIENCE_S
        while not holds():
            if self._ended.done():
                self._ended.result()
            assert time.monotonic() < end, (self.versions, self.disturbances)
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self._stop()
        if self._ended is not None:
            await self._ended


@asynccontextmanager
async def subscribed(
    form: Form,
    url: str,
    *,
    handle: Callable[[MasteryChanged], None] = lambda _: None,
    event: Any = MasteryChanged,
    start_at: Any = "0",
    consumer: str = "reports-0",
    **options: Any,
) -> AsyncIterator[Subscription]:
    """Run `subscribe` in one form; `handle` is called before an event is noted."""
    run = Subscription()
    options = {
        "group": "reports",
        "consumer": consumer,
        "start_at": start_at,
        "on_disturbance": lambda error, _: run.disturbances.append(error),
        **options,
    }

    def handled(received: MasteryChanged, delivery: Delivery) -> None:
        handle(received)
        run.events.append(received)
        run.deliveries.append(delivery)

    if form == "plain":
        halt = threading.Event()
        with redis.Redis.from_url(url) as client:
            run._stop = halt.set
            run._ended = asyncio.ensure_future(
                asyncio.to_thread(
                    lambda: plain.subscribe(client, event, stop=halt, handle=handled, **options)
                )
            )
            async with _ending(run):
                yield run
        return

    async def handled_async(received: MasteryChanged, delivery: Delivery) -> None:
        handled(received, delivery)

    stop = asyncio.Event()
    async with redis.asyncio.Redis.from_url(url) as asynchronous:
        run._stop = stop.set
        run._ended = asyncio.ensure_future(
            aio.subscribe(asynchronous, event, stop=stop, handle=handled_async, **options)
        )
        async with _ending(run):
            yield run


@asynccontextmanager
async def _ending(run: Subscription) -> AsyncIterator[None]:
    try:
        yield
    finally:
        run._stop()
        if run._ended is not None:
            await asyncio.wait((run._ended,))
    assert run._ended is not None
    run._ended.result()


async def followed(
    form: Form, url: str, positions: Mapping[str, str], count: int
) -> list[tuple[MasteryChanged, Delivery]]:
    """Return the next events after positions."""
    if form == "plain":
        return await asyncio.to_thread(_followed, url, positions, count)
    found = []
    async with redis.asyncio.Redis.from_url(url) as client:
        async for pair in aio.follow(client, MasteryChanged, positions):
            found.append(pair)
            if len(found) == count:
                break
    return found


def _followed(
    url: str, positions: Mapping[str, str], count: int
) -> list[tuple[MasteryChanged, Delivery]]:
    with redis.Redis.from_url(url) as client:
        following = plain.follow(client, MasteryChanged, positions)
        return [pair for _, pair in zip(range(count), following, strict=False)]
