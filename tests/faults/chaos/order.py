"""The order of faults that a seed gives: which, when, how long, and under which load.

Nothing else decides it, so a run can be repeated up to the fault at which it failed.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tests.faults.catalogue import FAULTS, Fault
from tests.faults.load import REPEATED
from tests.faults.stage import Need

_MOST_MORE: Final = 4
"""Most faults of a scene besides its first one."""


@dataclass(frozen=True)
class Step:
    """One fault, and the load under which it happens."""

    number: int
    """Number among all steps of the seed, from 1."""
    fault: Fault
    responses: int
    rate: float
    """Events a second."""
    strike_at: float
    """Share of the events that are published before the fault."""
    hold_s: float
    """Shortest time that it lasts, seconds."""
    seed: int
    """Seed of the load."""


@dataclass(frozen=True)
class Scene:
    """Steps on the same servers, one after another."""

    steps: tuple[Step, ...]
    needs: frozenset[Need]
    """Needs of all its faults."""
    settings: dict[str, str]
    """Settings of the workers, for all its faults."""
    fsync: str
    """Setting of Redis: a fault may need `everysec`, and none needs `always`."""
    responses: int
    workers: int
    batch_size: int
    students: int

    def until(self, number: int) -> "Scene":
        """Return the same scene without the steps behind that number."""
        return replace(self, steps=tuple(step for step in self.steps if step.number <= number))


def scenes(seed: int, faults: Sequence[Fault] = FAULTS) -> Iterator[Scene]:
    """Yield scenes without end.

    The first fault of a scene decides which servers it has; each fault of the catalogue is drawn as
    the first one equally often. The others are those that these servers allow.
    """
    chance = random.Random(f"faults {seed}")
    number = 0
    while True:
        first = chance.choice(faults)
        possible = [fault for fault in faults if fault.needs <= first.needs]
        drawn = [first, *chance.choices(possible, k=chance.randint(1, _MOST_MORE))]
        chance.shuffle(drawn)
        steps = tuple(_step(chance, number + place, fault) for place, fault in enumerate(drawn, 1))
        number += len(steps)
        yield Scene(
            steps,
            needs=frozenset[Need]().union(*(fault.needs for fault in drawn)),
            settings={k: v for fault in drawn for k, v in fault.settings.items()},
            fsync="everysec" if any(f.fsync == "everysec" for f in drawn) else "always",
            responses=sum(step.responses for step in steps),
            workers=chance.randint(1, 3),
            batch_size=chance.choice([10, 50, 200]),
            students=chance.choice([6, 60, 200]),
        )


def _step(chance: random.Random, number: int, fault: Fault) -> Step:
    rate, lasting_s = chance.choice([60.0, 200.0, 500.0]), chance.uniform(5, 10)
    return Step(
        number,
        fault,
        responses=int(rate * lasting_s / (1 + REPEATED)),
        rate=rate,
        strike_at=round(chance.uniform(0.1, 0.5), 2),
        hold_s=round(fault.hold_s * chance.uniform(0.5, 1.5), 1),
        seed=chance.randrange(1 << 30),
    )
