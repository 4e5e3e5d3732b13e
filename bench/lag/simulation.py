"""A discrete-event simulation of the entries that wait for the engine. Pure.

A shard has one reader. It takes what waits, at most a batch at once, works on it for a time that
rises with the number of entries, and acknowledges it a moment later, while it works on the next
batch.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import simpy


class Arrival(NamedTuple):
    """Entries that are added together."""

    at_s: float
    entries: int


class Outage(NamedTuple):
    """A time in which nobody reads: a worker died, and the next has not taken over yet."""

    from_s: float
    to_s: float


@dataclass(frozen=True)
class Rates:
    """How fast a reader is.

    Args:
        entry_s: time for each entry, seconds.
        lone_s: time from XADD to acknowledgement of an entry on an idle system, seconds.
        batch: the most entries taken at once.
    """

    entry_s: float
    lone_s: float
    batch: int = 500


@dataclass
class Trace:
    """Entries added and not acknowledged, over time.

    Attributes:
        points: times in seconds and numbers of entries, at each change.
    """

    points: list[tuple[float, int]] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """The most entries that waited."""
        return max(waiting for _, waiting in self.points)

    @property
    def drained_s(self) -> float:
        """Time at which nothing waited any more, seconds."""
        return self.points[-1][0]


def simulate(
    arrivals: Sequence[Arrival], rates: Rates, outages: Sequence[Outage] = ()
) -> tuple[Trace, list[float]]:
    """Simulate one shard.

    Args:
        arrivals: in the order of time.
        rates: how fast its reader is.
        outages: times without a reader, in order; entries taken and not acknowledged are taken
            again.

    Returns:
        The entries that waited, and the time that each entry took from its addition to its
        acknowledgement, seconds, in the order of arrival.
    """
    shard = _Shard(simpy.Environment(), rates, outages)
    shard.environment.process(shard.publish(arrivals))
    shard.environment.process(shard.read(sum(arrival.entries for arrival in arrivals)))
    shard.environment.run()
    return shard.trace, shard.waits


class _Shard:
    def __init__(
        self, environment: simpy.Environment, rates: Rates, outages: Sequence[Outage]
    ) -> None:
        self.environment = environment
        self.trace = Trace()
        self.waits: list[float] = []
        self._rates = rates
        self._outages = outages
        self._added: list[float] = []
        self._taken = 0
        self._acknowledged = 0
        self._more = environment.event()

    def publish(self, arrivals: Sequence[Arrival]) -> Generator[simpy.Event, Any, None]:
        for arrival in arrivals:
            yield self.environment.timeout(max(0.0, arrival.at_s - self.environment.now))
            self._added += [self.environment.now] * arrival.entries
            self._note()
            self._more.succeed()
            self._more = self.environment.event()

    def read(self, entries: int) -> Generator[simpy.Event, Any, None]:
        outages = list(self._outages)
        while self._acknowledged < entries:
            now = self.environment.now
            if outages and outages[0].from_s <= now:
                yield self.environment.timeout(max(0.0, outages.pop(0).to_s - now))
                # The next reader takes again what the dead one had taken.
                self._taken = self._acknowledged
            elif self._taken == entries:
                yield self.environment.timeout(self._rates.lone_s)
            elif self._taken == len(self._added):
                yield self._more
            else:
                count = min(self._rates.batch, len(self._added) - self._taken)
                self._taken += count
                yield self.environment.timeout(count * self._rates.entry_s)
                self.environment.process(self._acknowledge(count))

    def _acknowledge(self, count: int) -> Generator[simpy.Event, Any, None]:
        taken_s = self.environment.now - count * self._rates.entry_s
        yield self.environment.timeout(self._rates.lone_s)
        if any(taken_s < outage.from_s <= self.environment.now for outage in self._outages):
            return
        now, first = self.environment.now, self._acknowledged
        self.waits += [now - added for added in self._added[first : first + count]]
        self._acknowledged += count
        self._note()

    def _note(self) -> None:
        self.trace.points.append((self.environment.now, len(self._added) - self._acknowledged))


def arrivals_of(rates_at: Sequence[tuple[float, float]], every_s: float) -> list[Arrival]:
    """Turn a rate over time into arrivals.

    Args:
        rates_at: times in seconds and entries a second, linear in between.
        every_s: time between arrivals, seconds.
    """
    arrivals, due = [], 0.0
    for (from_s, rate), (to_s, next_rate) in pairwise(rates_at):
        steps = max(1, round((to_s - from_s) / every_s))
        for step in range(steps):
            share = (step + 0.5) / steps
            due += (rate + (next_rate - rate) * share) * (to_s - from_s) / steps
            if due >= 1:
                arrivals.append(Arrival(from_s + share * (to_s - from_s), int(due)))
                due -= int(due)
    return arrivals
