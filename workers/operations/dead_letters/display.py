"""Dead letters as JSON for people: never with a token."""

from typing import Any

from workers.operations.dead_letters.dead_letter import DeadLetter
from workers.operations.dead_letters.redaction import shown, without_jwts, without_tokens


def row(letter: DeadLetter) -> dict[str, Any]:
    """Return a letter's fields without the event, as `mastery rejected list --json` prints it."""
    data, claimed = letter.data, letter.claimed()
    return {
        "id": str(letter.id),
        "entry_id": letter.text("entry_id"),
        "stream": letter.text("stream"),
        "code": letter.code,
        "status": data.get("status"),
        "reason": None if (reason := letter.text("reason")) is None else without_jwts(reason),
        "field": letter.text("field"),
        "tenant_id": claimed.tenant_id,
        "student_id": claimed.student_id,
        "deliveries": data.get("deliveries"),
        "accepted_at": letter.accepted_at,
        "rejected_at": letter.text("rejected_at"),
        "redriven_at": letter.redriven_at,
        "redriven_as": letter.redriven_as,
    }


def whole(letter: DeadLetter) -> dict[str, Any]:
    """Return a letter with its event, as `mastery rejected show --json` prints it."""
    fields = row(letter)
    known = {*fields, "event", "event_base64"}
    rest = {name: without_tokens(value) for name, value in letter.data.items() if name not in known}
    event = None if letter.event is None else shown(letter.event)
    return {**fields, **rest, "event": event}
