"""The events that follow from an entry: mastery changes, or its rejection."""

import base64
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha1
from typing import Any, Final
from uuid import UUID

import orjson

from contracts.mastery import MasteryChanged
from contracts.rejections import ResponseRejected
from contracts.streams import EVENT_FIELD
from workers.errors import Refused
from workers.estimation.learner import LearnerKey, Response
from workers.intake.admission import Admitted
from workers.intake.raw_batch import RawEntry
from workers.moments import iso

SOURCE: Final = "/mastery-engine"

_MASTERY_IDS: Final = UUID("5f0c7a0e-2f5d-5d0b-9b8e-7a1d1c2e3f40")
_REJECTION_IDS: Final = UUID("0b0a5f3c-9f0e-5a53-8a6e-1f2d3c4b5a69")


def mastery_events(admitted: Admitted, version: int, outcome: Mapping[str, Any]) -> list[bytes]:
    """The `practice.mastery.changed.v1` events of an applied response, as JSON.

    Args:
        admitted: the entry that owns the response.
        version: the learner's version that the response took.
        outcome: its stored outcome, as `workers.ledger.outcomes` writes it.
    """
    key, response, cause = admitted.key, admitted.response, admitted.event
    common = _common_data(key, response, version, outcome)
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "source": SOURCE,
        "type": MasteryChanged.TYPE,
        "time": iso(int(admitted.entry.entry_id.partition("-")[0]) * 1000),
        "datacontenttype": "application/json",
        "causationid": cause.id,
    }
    if cause.correlationid is not None:
        envelope["correlationid"] = cause.correlationid
    if cause.traceparent is not None:
        envelope["traceparent"] = cause.traceparent
    return [
        orjson.dumps(
            {
                **envelope,
                "id": _event_id(key, response.response_id, change["concept_id"]),
                "subject": f"{key.student_id}/{change['concept_id']}",
                "data": {**common, **change},
            }
        )
        for change in outcome["concepts"]
    ]


def _common_data(
    key: LearnerKey, response: Response, version: int, outcome: Mapping[str, Any]
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "tenant_id": key.tenant_id,
        "student_id": key.student_id,
        "version": version,
        "ability": outcome["ability"],
        "response_id": response.response_id,
        "item_id": response.item_id,
        "correct": response.correct,
        "score": response.score,
        "answered_at": iso(response.answered_at_us),
        "parameters_version": outcome["parameters_version"],
    }
    if response.session_id is not None:
        data["session_id"] = response.session_id
        data["session"] = outcome["session"]
    return data


def _event_id(key: LearnerKey, response_id: str, concept_id: str) -> str:
    # Ids hold no control characters, so a unit separator keeps the four apart.
    return _uuid5(_MASTERY_IDS, "\x1f".join((*key, response_id, concept_id)))


def _uuid5(namespace: UUID, name: str) -> str:
    """`str(uuid.uuid5(namespace, name))`, six times as fast: one is made for each event."""
    digest = bytearray(sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def rejection_event(
    stream: str, entry: RawEntry, refusal: Refused, deliveries: int, rejected_at: datetime
) -> bytes:
    """The `practice.response.rejected.v1` event of a refused entry, as JSON.

    Args:
        stream: where the entry came from.
        entry: the entry, kept whole in the event.
        refusal: why.
        deliveries: how often it was delivered.
        rejected_at: now, in UTC.
    """
    moment = rejected_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": _uuid5(_REJECTION_IDS, f"{stream}\x1f{entry.entry_id}"),
            "source": SOURCE,
            "type": ResponseRejected.TYPE,
            "subject": entry.entry_id,
            "time": moment,
            "datacontenttype": "application/json",
            "data": {
                "code": refusal.code.value,
                "status": refusal.code.status,
                "reason": refusal.reason,
                "field": refusal.field,
                "stream": stream,
                "entry_id": entry.entry_id,
                "deliveries": deliveries,
                "rejected_at": moment,
                **_original(entry),
            },
        }
    )


def _original(entry: RawEntry) -> dict[str, str]:
    """The entry's own text, so that it can be sent again."""
    text = entry.fields.get(EVENT_FIELD.encode())
    if text is None:
        # No publisher of ours: all its fields, each name and value as text where it is text.
        fields = [[_as_text(part) for part in pair] for pair in entry.fields.items()]
        return {"event": orjson.dumps(fields).decode()}
    try:
        return {"event": text.decode()}
    except UnicodeDecodeError:
        return {"event_base64": base64.b64encode(text).decode()}


def _as_text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
