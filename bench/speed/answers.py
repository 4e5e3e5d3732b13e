"""Answers of simulated learners, as rows from which events are made."""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from bench.speed.cases import Contender, Order
from workers.common.times import to_us

_START_US: Final = to_us(datetime(2026, 3, 2, 8, tzinfo=UTC))
_STEP_US: Final = 1_000_000
_HISTORY_STEP_US: Final = 60_000_000
_LATE_BY: Final = 100
_SESSION: Final = 20

Row = dict[str, Any]


class Answers:
    """Deals answers to learners, one to each before anybody has the next.

    Args:
        contender: says who answers what, and in which order it arrives.
        tenant: the tenant of all learners.
    """

    def __init__(self, contender: Contender, tenant: str) -> None:
        self._contender = contender
        self._tenant = tenant
        self._chance = random.Random(f"{contender.label} {tenant}")
        self._learners = self._deal()
        self._answered: defaultdict[int, int] = defaultdict(int)
        self._number = 0

    def history(self, learner: int) -> list[Row]:
        """Return the answers that a learner gave before the run, in order."""
        length = self._contender.history
        return [
            self._row(learner, _START_US - (length - n) * _HISTORY_STEP_US) for n in range(length)
        ]

    def take(self, count: int) -> list[Row]:
        """Return the next answers in their order of arrival: `count`, or twice that if doubled."""
        rows = [self._next() for _ in range(count)]
        order = self._contender.order
        if order is Order.SWAPPED:
            _swap_pairs(rows)
        elif order is Order.DOUBLED:
            rows *= 2
        if order in {Order.SHUFFLED, Order.DOUBLED}:
            self._chance.shuffle(rows)
        return rows

    def _next(self) -> Row:
        self._number += 1
        at = _START_US + self._number * _STEP_US
        if self._contender.order is Order.LATE:
            newest = min(_LATE_BY, self._contender.history) * _HISTORY_STEP_US
            at = _START_US - self._chance.randrange(_HISTORY_STEP_US, newest)
        return self._row(next(self._learners), at)

    def _deal(self) -> Iterator[int]:
        deck = list(range(self._contender.learners))
        while True:
            self._chance.shuffle(deck)
            yield from deck

    def _row(self, learner: int, at_us: int) -> Row:
        chance, contender = self._chance, self._contender
        answered = self._answered[learner]
        self._answered[learner] += 1
        return {
            "tenant_id": self._tenant,
            "student_id": learner_name(learner),
            "response_id": str(UUID(int=chance.getrandbits(128), version=4)),
            "session_id": f"s-{answered // _SESSION}",
            "item_id": f"q-{chance.randrange(500)}",
            "concept_ids": [
                f"c-{n}"
                for n in chance.sample(range(contender.concepts_of_learner), contender.concepts)
            ],
            "scale": "math",
            "score": float(chance.random() < 0.6),
            "answered_at": at_us,
        }


def learner_name(learner: int) -> str:
    """Return the `student_id` of a learner."""
    return f"student-{learner}"


def _swap_pairs(rows: list[Row]) -> None:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        places[row["student_id"]].append(place)
    for own in places.values():
        for first, second in zip(own[::2], own[1::2], strict=False):
            rows[first], rows[second] = rows[second], rows[first]
