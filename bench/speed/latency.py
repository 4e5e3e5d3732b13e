"""Latency from XADD to the event while entries come at a fixed rate."""

import asyncio
import time
from typing import Any, Final

import orjson

from bench.speed.sides import Side
from contracts.streams import shards
from workers.common.text import text_of

LOADS: Final = (0.5, 0.9)
"""Shares of a contender's own rate."""
_LASTS_S: Final = 5.0
_TICK_S: Final = 0.005


async def loaded_ms(side: Side, rate: float) -> list[float]:
    """Return the time from XADD until a blocking XREAD returns the event, for each entry.

    The publisher does not wait for the worker: an entry that is sent late counts from the moment
    at which it was due, or a slow worker would hide its own latency.

    Args:
        side: a contender that is idle.
        rate: entries a second.
    """
    entries = side.entries_of(max(2, int(rate * _LASTS_S)))
    # Written beforehand: a publisher that writes them now would take a core from the worker.
    size = max(1, int(rate * _TICK_S))
    ticks = [await side.packed(entries[n : n + size]) for n in range(0, len(entries), size)]
    names = [orjson.loads(fields["event"])["data"]["response"]["response_id"]
             for _, _, fields in entries]  # fmt: skip
    after: dict[Any, Any] = {}
    for shard in shards(side.contender.shards):
        info: Any = await side.client.xinfo_stream(shard.mastery)
        after[shard.mastery] = info["last-generated-id"]
    reader = asyncio.create_task(_read(side, after, len(entries)))
    last: dict[str, bytes] = {}
    began = time.perf_counter()
    for number, tick in enumerate(ticks, 1):
        due = min(number * size, len(entries)) - 1
        await asyncio.sleep(max(0.0, began + due / rate - time.perf_counter()))
        last |= await side.send(tick)
    seen = _first_seen(await reader)
    await side.drained(last)
    return [1e3 * (seen[name] - began - number / rate) for number, name in enumerate(names)]


async def _read(side: Side, after: dict[Any, Any], count: int) -> list[tuple[float, bytes]]:
    """Return so many events, each with the time at which it was read."""
    events: list[tuple[float, bytes]] = []
    while len(events) < count:
        answer: Any = await side.client.xread(after, block=10_000)
        now = time.perf_counter()
        if not answer:
            raise SystemExit(f"{side.contender.label} gave no event for 10 s")
        for stream, entries in answer:
            after[text_of(stream)] = entries[-1][0]
            events += [(now, fields[b"event"]) for _, fields in entries]
    return events


def _first_seen(events: list[tuple[float, bytes]]) -> dict[str, float]:
    """Return when the first event of each response was read."""
    seen: dict[str, float] = {}
    for now, event in events:
        seen.setdefault(orjson.loads(event)["data"]["response_id"], now)
    return seen
