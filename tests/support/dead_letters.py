"""Makers of dead letters, as the engine writes them, and readers of what Redis holds of them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from contracts.streams import REJECTED, RESPONSES, Shard, shards
from tests.support.factories import event, event_json
from workers.common.errors import Refused
from workers.common.text import text_of
from workers.operations.dead_letters.dead_letter import DeadLetter, DeadLetterId, read_dead_letter
from workers.operations.dead_letters.reading import DeadLetters, redriven_key
from workers.operations.dead_letters.selection import Selection
from workers.publishing.rejection_event import rejection_event
from workers.streams.batch import RawEntry
from workers.streams.redriven import accepted_key

ENTRY: Final = "1795253400123-0"
LETTER: Final = "1795253500000-2"
TOKEN: Final = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzdHVkZW50LTQyIn0.c2lnbmF0dXJl"
PLAIN: Final[Shard] = shards(0)[0]
REDRIVEN: Final = redriven_key(REJECTED)
ACCEPTED: Final = accepted_key(RESPONSES)


def rejection(
    fields: Mapping[bytes, bytes] | None = None,
    *,
    code: RejectionCode = RejectionCode.CONFLICT,
    reason: str = "a reason",
    entry_id: str = ENTRY,
    redriven_from: str | None = None,
    stream: str = PLAIN.responses,
) -> bytes:
    """Make the rejection of an entry; by default the entry holds a valid event."""
    entry = RawEntry(entry_id, dict(fields or {b"event": event_json()}), redriven_from)
    refusal = Refused(code, reason, "data.x")
    return rejection_event(stream, entry, refusal, 1, datetime(2026, 11, 21, 10, tzinfo=UTC))


def letter(text: bytes | None = None, *, shard: Shard = PLAIN, **changes: Any) -> DeadLetter:
    """Make a dead letter as it is read; without a text, from `rejection` with these changes."""
    text = rejection(**changes) if text is None else text
    return read_dead_letter(DeadLetterId(None, LETTER), shard, {b"event": text}, "tenant_id")


def holding(event: Any) -> DeadLetter:
    """Make a dead letter that holds this event, JSON or any text."""
    text = event if isinstance(event, bytes) else json.dumps(event).encode()
    return letter(fields={b"event": text})


async def reject(redis: Redis, count: int, stream: str = REJECTED, **changes: Any) -> list[str]:
    """Add dead letters, as the publisher does; returns their ids."""
    async with redis.pipeline(transaction=False) as pipeline:
        for number in range(count):
            fields = {b"event": event_json(number=number)}
            pipeline.xadd(stream, {"event": rejection(fields, **changes)})
        return [entry_id.decode() for entry_id in await pipeline.execute()]


async def add_with_token(redis: Redis, tenant_id: str = "school-7") -> str:
    """Add a dead letter whose event holds a token; return its id."""
    whole = event(tenant_id=tenant_id)
    whole["data"]["token"] = TOKEN
    text = rejection({b"event": json.dumps(whole).encode()}, reason=f"a reason with {TOKEN}")
    return text_of(await redis.xadd(REJECTED, {"event": text}))


async def all_of(letters: DeadLetters, selection: Selection | None = None) -> list[DeadLetter]:
    return [letter async for page in letters.pages(selection or Selection()) for letter in page]


async def entries(redis: Redis, stream: str) -> list[tuple[str, dict[bytes, bytes]]]:
    entries: Any = await redis.xrange(stream)
    return [(entry_id.decode(), fields) for entry_id, fields in entries]
