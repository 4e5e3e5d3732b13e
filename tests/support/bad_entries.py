"""Bad entries of many kinds, spread among good ones."""

import base64
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from tests.support.bad_entry_kinds import CONFLICTS, KINDS, Fields
from tests.support.whole_run import event_of

ISSUER: Final = "https://school.example/auth/v1"
"""Issuer of all good entries; workers that accept only this issuer refuse any other."""


class BadEntry(NamedTuple):
    """An entry for the stream and its expected outcome."""

    kind: str
    code: str
    fields: Fields


_BAD_STUDENT: Final = "nobody"


def bad_entry(kind: str, number: int, issued_at: int, chance: random.Random) -> BadEntry:
    """Make a bad entry; without its fault it would be a unique response."""
    row = {
        "tenant_id": "school-0",
        "student_id": _BAD_STUDENT,
        "response_id": f"{number:08x}-bad0-4000-8000-{chance.getrandbits(48):012x}",
        "session_id": "s-1",
        "item_id": "q-1",
        "concept_ids": ["c-1"],
        "scale": "math",
        "score": 1.0,
        "answered_at": 1_772_438_400_000_000 + number,
    }
    code, make = KINDS[kind]
    return BadEntry(kind, code, make(json.loads(event_of(row, issued_at)), chance))


def conflict(kind: str, row: dict[str, Any], issued_at: int, chance: random.Random) -> BadEntry:
    """Make an entry that contradicts a good row."""
    code, make = CONFLICTS[kind]
    return BadEntry(kind, code, make(json.loads(event_of(row, issued_at)), chance))


def spread(
    rows: Sequence[dict[str, Any]], count: int, issued_at: int, seed: int
) -> Iterator[tuple[Fields, BadEntry | None]]:
    """Yield all rows as good entries in order, with bad entries of all kinds among them."""
    chance = random.Random(seed)
    # Each kind in turn; a conflict needs a good entry before it.
    kinds = [*KINDS, *CONFLICTS]
    after = sorted((chance.randrange(len(rows)), n) for n in range(count))
    waiting = iter(after)
    place, number = next(waiting, (len(rows), 0))
    for index, row in enumerate(rows):
        yield {b"event": event_of(row, issued_at)}, None
        while place == index:
            kind = kinds[number % len(kinds)]
            bad = (
                conflict(kind, rows[chance.randrange(index + 1)], issued_at, chance)
                if kind in CONFLICTS
                else bad_entry(kind, number, issued_at, chance)
            )
            yield bad.fields, bad
            place, number = next(waiting, (len(rows), 0))


def recovered(data: dict[str, Any]) -> Fields | bytes:
    """Return the content that a dead letter keeps: the bytes of `event`, or else all fields."""
    if data.get("event_base64") is not None:
        return base64.b64decode(data["event_base64"], validate=True)
    text: str = data["event"]
    if not data.get("without_event"):
        return text.encode()
    pairs = [[_bytes(part) for part in pair] for pair in json.loads(text)]
    return dict(pairs)


def _bytes(part: str | dict[str, str]) -> bytes:
    return part.encode() if isinstance(part, str) else base64.b64decode(part["base64"])
