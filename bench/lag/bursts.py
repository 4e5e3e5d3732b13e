"""Bursts of entries, and the worker's own rates from a run of its own."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.lag.simulation import Arrival, Outage, Rates, Trace, arrivals_of
from bench.speed.sides import Packed, Side
from contracts.streams import ENGINE_GROUP, RESPONSES

_EVERY_S: Final = 0.05
"""Time between two chunks of a burst, and between two looks at what waits."""
_LONE: Final = 20


@dataclass(frozen=True)
class Burst:
    """A burst.

    Args:
        label: its name.
        rates_at: times in seconds, and rates as multiples of the worker's own.
        dies_at_s: time at which the active worker is killed; None: never.
    """

    label: str
    rates_at: tuple[tuple[float, float], ...]
    dies_at_s: float | None = None

    def arrivals(self, rate: float) -> list[Arrival]:
        """Return its arrivals for a worker of this rate, entries a second."""
        return arrivals_of([(at_s, share * rate) for at_s, share in self.rates_at], _EVERY_S)


BURSTS: Final = (
    Burst("at once", ((0, 40), (0.25, 40))),
    Burst("bell", ((0, 0.1), (5, 2.0), (10, 0.1))),
    Burst("twice", ((0, 2.0), (3, 2.0), (3, 0.0), (4, 0.0), (4, 2.0), (7, 2.0))),
)
FAILOVER: Final = Burst("failover", ((0, 0.5), (12, 0.5)), dies_at_s=3)


async def rates_of(side: Side, entries: int) -> Rates:
    """Measure a worker's rates: of many entries at once, and of lone ones."""
    packed = await side.packed(side.entries_of(entries))
    began = time.perf_counter()
    await side.drained(await side.send(packed))
    each_s = (time.perf_counter() - began) / entries
    lone = sorted([await side.lone_ms() for _ in range(_LONE)])
    return Rates(each_s, lone[_LONE // 2] / 1e3)


async def measured(
    side: Side, burst: Burst, arrivals: Sequence[Arrival], kill: Callable[[], None]
) -> tuple[Trace, list[Outage]]:
    """Publish a burst, and look at what waits until nothing does.

    Args:
        side: the worker.
        burst: the burst.
        arrivals: its arrivals.
        kill: kills the worker that reads.

    Returns:
        The entries that waited, and the time without a reader.
    """
    chunks: list[Packed] = [
        await side.packed(side.entries_of(arrival.entries)) for arrival in arrivals
    ]
    trace, published, killed_s, back_s = Trace(), 0, None, None
    before = await _acknowledged(side)
    began = time.perf_counter()

    async def publish() -> None:
        nonlocal published
        for arrival, commands in zip(arrivals, chunks, strict=True):
            await asyncio.sleep(began + arrival.at_s - time.perf_counter())
            await side.send(commands)
            published += arrival.entries

    publishing = asyncio.create_task(publish())
    total, done = sum(arrival.entries for arrival in arrivals), 0
    while done < total:
        await asyncio.sleep(_EVERY_S)
        now = time.perf_counter() - began
        if burst.dies_at_s is not None and killed_s is None and now >= burst.dies_at_s:
            kill()
            killed_s, at_death = now, await _acknowledged(side) - before
        done = await _acknowledged(side) - before
        now = time.perf_counter() - began
        if killed_s is not None and back_s is None and now > killed_s + 0.5 and done > at_death:
            back_s = now
        trace.points.append((now, published - done))
    await publishing
    trace.points.append((time.perf_counter() - began, 0))
    if killed_s is None or back_s is None:
        return trace, []
    return trace, [Outage(killed_s, back_s)]


async def _acknowledged(side: Side) -> int:
    """Count the entries that the engine's group has read and acknowledged."""
    async with side.client.pipeline(transaction=True) as pipeline:
        pipeline.xinfo_groups(RESPONSES)
        groups: Any
        (groups,) = await pipeline.execute()
    (own,) = [group for group in groups if group["name"] == ENGINE_GROUP.encode()]
    return int(own["entries-read"]) - int(own["pending"])
