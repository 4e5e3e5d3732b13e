"""Make dead letters as the engine writes them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from contracts.rejections import RejectionCode
from contracts.streams import Shard, shards
from tests.support.factories import event_json
from workers.common.errors import Refused
from workers.operations.dead_letters.dead_letter import DeadLetter, DeadLetterId, read_dead_letter
from workers.publishing.rejection_event import rejection_event
from workers.streams.batch import RawEntry

ENTRY: Final = "1795253400123-0"
LETTER: Final = "1795253500000-2"
PLAIN: Final[Shard] = shards(0)[0]


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
