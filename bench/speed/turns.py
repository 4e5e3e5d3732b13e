"""Measure contenders in turns: a small chunk of each, again and again."""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from bench.processor_time import since
from bench.speed.cases import Contender, Kind
from bench.speed.latency import LOADS, loaded_ms
from bench.speed.servers import Servers, servers
from bench.speed.sides import Side, Sizes, side

_PAUSE_S: Final = 0.03
"""Pause between lone events."""


@dataclass
class Measured:
    """Measurements of a contender.

    Attributes:
        contender: which.
        entries: number of entries of each turn.
        seconds: time of each turn, from the first XADD until everything is acknowledged.
        used_s: processor time in all turns, by process.
        used_of_each_s: the same of each of its own processes.
        memory_mb: resident memory of its own processes after the last turn.
        lone_ms: times from XADD to the event, one event at a time.
        loaded_ms: the same under load, by the share of its own rate.
    """

    contender: Contender
    entries: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    used_s: dict[str, float] = field(default_factory=dict)
    used_of_each_s: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    lone_ms: list[float] = field(default_factory=list)
    loaded_ms: dict[float, list[float]] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Entries a second, median over turns."""
        return statistics.median(n / s for n, s in zip(self.entries, self.seconds, strict=True))

    def used_us(self) -> dict[str, float]:
        """Return processor time an entry by process, µs."""
        return {name: 1e6 * s / sum(self.entries) for name, s in self.used_s.items()}


async def measure(
    contenders: Sequence[Contender], sizes: Sizes, lone: int, tell: Callable[[str], None]
) -> list[Measured]:
    """Start all contenders, and measure them in turns.

    Args:
        contenders: those of one case.
        sizes: how much is measured.
        lone: number of lone events of each contender whose latency is measured.
        tell: called with progress.
    """
    ours = [c for c in contenders if c.kind is not Kind.PEER or sizes.peer is not None]
    async with AsyncExitStack() as stack:
        tell("reserving servers")
        shared = await stack.enter_async_context(servers(ours, sizes.ledger))
        sides = []
        for number, contender in enumerate(ours):
            tell(f"starting {contender.label}")
            sides.append(await stack.enter_async_context(side(contender, number, shared, sizes)))
        results = [Measured(contender) for contender in ours]
        for turn in range(sizes.turns + 1):
            tell(f"turn {turn} of {sizes.turns}" if turn else "warming up")
            for running, result in zip(sides, results, strict=True):
                await _turn(running, shared, result if turn else Measured(running.contender))
        for running, result in zip(sides, results, strict=True):
            result.memory_mb = running.memory_mb()
        lonely = [(s, r) for s, r in zip(sides, results, strict=True) if s.contender.lone]
        for _ in range(lone):
            for running, result in lonely:
                result.lone_ms.append(await running.lone_ms())
                await asyncio.sleep(_PAUSE_S)
        for running, result in lonely if lone else ():
            for share in LOADS:
                tell(f"latency of {running.contender.label} at {share:.0%} of its rate")
                result.loaded_ms[share] = await loaded_ms(running, share * result.rate)
    return results


async def _turn(running: Side, shared: Servers, result: Measured) -> None:
    """Publish the next chunks, each when the one before it is drained, and measure."""
    chunks = [running.entries() for _ in range(running.contender.repeats)]
    packed = [await running.packed(entries) for entries in chunks]
    await running.swap_sequence()
    ledger = running.sizes.ledger
    others = shared.used_s(running.contender, ledger) | running.servers_s()
    own, backends = await running.used_s()
    began = time.perf_counter()
    for commands in packed:
        await running.drained(await running.send(commands))
    result.seconds.append(time.perf_counter() - began)
    own_after, backends_after = await running.used_s()
    result.entries.append(sum(map(len, chunks)))
    each = [after - before for before, after in zip(own, own_after, strict=True)]
    result.used_of_each_s = [
        a + b for a, b in zip(result.used_of_each_s or [0.0] * len(each), each, strict=True)
    ]
    used = {"worker": sum(each), "Postgres": since(backends, backends_after)}
    others_after = shared.used_s(running.contender, ledger) | running.servers_s()
    used |= {name: seconds - others[name] for name, seconds in others_after.items()}
    result.used_s = {name: s + result.used_s.get(name, 0.0) for name, s in used.items()}
    await running.swap_sequence()
