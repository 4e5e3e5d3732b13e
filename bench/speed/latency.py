"""Latency from XADD to the event while entries come at a fixed rate."""

import asyncio
import time
from typing import Any, Final

import orjson

from bench.speed.sides import Side
from contracts.streams import shards

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
    names = [orjson.loads(fields["event"])["data"]["response"]["response_id"]
             for _, _, fields in entries]  # fmt: skip
    after: dict[Any, Any] = {}
    for shard in shards(side.contender.shards):
        info: Any = await side.client.xinfo_stream(shard.mastery)
        after[shard.mastery] = info["last-generated-id"]
    seen: dict[str, float] = {}
    reader = asyncio.create_task(_read(side, after, seen, len(entries)))
    last: dict[str, bytes] = {}
    began = time.perf_counter()
    sent = 0
    while sent < len(entries):
        # One at a time would take the publisher longer than a fast worker.
        due = min(len(entries), 1 + int((time.perf_counter() - began) * rate))
        if due > sent:
            last |= await side.publish(entries[sent:due])
            sent = due
        await asyncio.sleep(_TICK_S)
    await reader
    await side.drained(last)
    return [1e3 * (seen[name] - began - number / rate) for number, name in enumerate(names)]


async def _read(side: Side, after: dict[Any, Any], seen: dict[str, float], count: int) -> None:
    """Note when the first event of each response is read."""
    while len(seen) < count:
        answer: Any = await side.client.xread(after, block=10_000)
        now = time.perf_counter()
        if not answer:
            raise SystemExit(f"{side.contender.label} gave no event for 10 s")
        for stream, events in answer:
            after[stream] = events[-1][0]
            for _, fields in events:
                data = orjson.loads(fields[b"event"])["data"]
                seen.setdefault(data["response_id"], now)
