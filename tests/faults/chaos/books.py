"""How often each mastery event must be in the stream, whatever has happened to Redis."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg

Event = tuple[str, str, str]
"""Student, response and concept."""


class Books:
    """The bounds of the number of each event, fault by fault.

    An event is published once. A fault that loses Redis's data may take events away, or repeat
    them. After each check the number is fixed: no event of a settled response comes or goes later.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        """All responses that were published."""
        self._bounds: dict[Event, tuple[int, int]] = {}

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take new responses: each of their events comes once."""
        for row in rows:
            self.rows.append(row)
            for concept in row["concept_ids"]:
                self._bounds[row["student_id"], row["response_id"], concept] = 1, 1

    def note_repeats(self) -> None:
        """Note that acknowledgements are gone: the events of entries that remain come again."""
        self._bounds = {event: (least, most + 1) for event, (least, most) in self._bounds.items()}

    def note_loss(self, owned_at: Mapping[tuple[str, str], int], lost_at: int) -> None:
        """Note that entries and events are gone, and that current values were published again.

        Args:
            owned_at: when the entry that owns a response was added, by student and response,
                milliseconds since 1970.
            lost_at: when Redis lost what it had, in the same unit.
        """
        for event, (least, most) in self._bounds.items():
            survived = owned_at[event[:2]] > lost_at
            self._bounds[event] = least if survived else 0, most + 1

    def differences(self, events: Counter[Event]) -> list[str]:
        """Return what is wrong with the numbers of events."""
        wrong = [
            f"event {event} {events[event]} times, not {least} to {most}"
            for event, (least, most) in self._bounds.items()
            if not least <= events[event] <= most
        ]
        unknown = events.keys() - self._bounds.keys()
        return wrong + [f"event {event} of nobody's response" for event in unknown]

    def settle(self, events: Counter[Event]) -> None:
        """Fix the number of each event."""
        self._bounds = {event: (events[event], events[event]) for event in self._bounds}


async def owned_at(dsn: str) -> dict[tuple[str, str], int]:
    """Read when the entry that owns each response was added, milliseconds since 1970."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "select student_id, response_id::text as id, entry from public.student_responses"
        )
    finally:
        await connection.close()
    return {
        (row["student_id"], row["id"]): int(row["entry"].rpartition("/")[2].partition("-")[0])
        for row in rows
    }
