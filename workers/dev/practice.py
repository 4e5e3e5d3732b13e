"""Publish an answer of a demo student as any publisher does: one plain XADD."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import uuid4

import orjson
from redis.asyncio import Redis

from contracts.responses import ResponseRecorded
from contracts.streams import EVENT_FIELD, RESPONSES
from workers.dev.issuer import Issuer
from workers.streams.redis_errors import redis_errors

SOURCE: Final = "/mastery-dev/practice"


class Sent(NamedTuple):
    """An event in its stream."""

    entry_id: str
    event: dict[str, Any]


def response_event(
    issuer: Issuer, response: Mapping[str, Any], correlation_id: str | None = None
) -> dict[str, Any]:
    """Make the event of an answer, with claims and token of its student.

    Nothing is checked here: the worker judges the event, and rejects what is wrong.

    Args:
        issuer: signs the token.
        response: `data.response` of the event; `response_id` and `answered_at` are added if they
            are missing.
        correlation_id: carried into all that follows.
    """
    student_id = response["student_id"]
    claims = issuer.claims(student_id)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": SOURCE,
        "type": ResponseRecorded.TYPE,
        "subject": student_id,
        "time": now,
        "datacontenttype": "application/json",
        "data": {
            "claims": claims,
            "token": issuer.sign(claims),
            "response": {"response_id": str(uuid4()), "answered_at": now, **response},
        },
    }
    return event if correlation_id is None else {**event, "correlationid": correlation_id}


async def publish(client: Redis, event: dict[str, Any]) -> Sent:
    """Add an event to the stream of responses.

    Raises:
        RedisUnavailable: Redis is away.
        StreamRefused: Redis answers, but refuses.
    """
    with redis_errors():
        entry_id: Any = await client.xadd(RESPONSES, {EVENT_FIELD: orjson.dumps(event)})
    return Sent(entry_id.decode(), event)
