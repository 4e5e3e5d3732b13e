"""Learners set aside: their logs are too long to be replayed within a batch."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from workers.engine.group import LearnerGroup
from workers.estimation.learner import LearnerKey
from workers.streams.batch import RawEntry
from workers.streams.route import Route

_log = structlog.get_logger(__name__)

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0

Place = tuple[str, LearnerKey]
"""Stream of responses and learner."""


@dataclass(slots=True)
class Waiting:
    """The entries of a learner who is set aside.

    Args:
        route: where the entries come from.
        group: the entries.
        deliveries: how often each entry was delivered, by id; an entry not named, once.
        pause_s: the pause before the next try after one that took too long, seconds.
        not_before: when the learner is due, by the monotonic clock, seconds.
    """

    route: Route
    group: LearnerGroup
    deliveries: dict[str, int] = field(default_factory=dict)
    pause_s: float = 0.0
    not_before: float = 0.0

    @property
    def place(self) -> Place:
        """Stream and learner."""
        return self.route.source, self.group.key

    def add(self, group: LearnerGroup, deliveries: Mapping[str, int]) -> None:
        """Add later entries of the learner."""
        self.group.forget_state()
        for response_id, entries in group.entries.items():
            self.group.entries.setdefault(response_id, []).extend(entries)
        self.deliveries.update(deliveries)

    def entries(self) -> list[RawEntry]:
        """List all entries, in the order of the stream as far as it is known."""
        group = self.group
        admitted = [a for some in (*group.entries.values(), *group.later.values()) for a in some]
        return [owner.entry for owner in (*admitted, *group.over)]


class SetAside:
    """Keeps learners whose log is long, or whose load takes too long, beside the batches.

    Later entries of such a learner join the earlier ones, so that the learner does not change
    while the log is replayed. All entries stay pending in Redis, and keep their ids and so their
    time of acceptance.

    Args:
        shown: called with the number of learners set aside when it changes.
        clock: a monotonic clock, seconds.
    """

    def __init__(
        self,
        shown: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shown = shown
        self._clock = clock
        self._waiting: dict[Place, Waiting] = {}
        self._taken: dict[Place, Waiting] = {}
        self._changed = asyncio.Event()

    def held(self, stream: str) -> set[str]:
        """Return the ids of the entries of a stream that are set aside."""
        return {
            entry.entry_id
            for waiting in (*self._waiting.values(), *self._taken.values())
            if waiting.route.source == stream
            for entry in waiting.entries()
        }

    def join(
        self, route: Route, groups: Sequence[LearnerGroup], deliveries: Mapping[str, int]
    ) -> list[LearnerGroup]:
        """Set aside the entries of learners who are set aside already; return the others."""
        if not self._waiting and not self._taken:
            return list(groups)
        others = []
        for group in groups:
            place = route.source, group.key
            if place in self._waiting or place in self._taken:
                self.put(Waiting(route, group, dict(deliveries)))
            else:
                others.append(group)
        return others

    def put(self, waiting: Waiting) -> None:
        """Set a learner aside, or add entries to those that wait."""
        waiting.group.forget_state()
        present = self._waiting.get(waiting.place)
        if present is not None:
            present.add(waiting.group, waiting.deliveries)
            return
        if waiting.group.slow:
            pause_s = min(max(_FIRST_PAUSE_S, 2 * waiting.pause_s), _LONGEST_PAUSE_S)
            waiting.pause_s, waiting.not_before = pause_s, self._clock() + pause_s
        if waiting.place not in self._taken:
            slow, entries = waiting.group.slow, len(waiting.group.entries)
            _log.info("learner_set_aside", slow=slow, entries=entries, pause_s=waiting.pause_s)
        self._waiting[waiting.place] = waiting
        self._tell()

    async def take(self) -> Waiting:
        """Wait until a learner is due, and take the learner out."""
        while True:
            self._changed.clear()
            free = [w for place, w in self._waiting.items() if place not in self._taken]
            now = self._clock()
            due = next((waiting for waiting in free if waiting.not_before <= now), None)
            if due is not None:
                self._taken[due.place] = self._waiting.pop(due.place)
                return due
            pause_s = min((waiting.not_before - now for waiting in free), default=None)
            try:
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, waiting: Waiting) -> None:
        """Release a learner that `take` returned; put back entries that are left before."""
        self._taken.pop(waiting.place, None)
        self._tell()

    def let_go(self, stream: str) -> None:
        """Forget the learners of a stream that another worker reads from now on."""
        self._waiting = {
            place: waiting for place, waiting in self._waiting.items() if place[0] != stream
        }
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._shown(len(self._waiting.keys() | self._taken.keys()))
