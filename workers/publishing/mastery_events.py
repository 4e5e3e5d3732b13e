"""The events that follow from an entry: mastery changes, or its rejection."""

import base64
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from hashlib import sha1
from typing import Any, Final
from uuid import UUID

import orjson

from contracts.mastery import MasteryChanged
from contracts.rejections import ResponseRejected
from contracts.streams import EVENT_FIELD
from workers.admission.admission import Admitted
from workers.common.errors import Refused
from workers.common.times import iso
from workers.estimation.learner import LearnerKey, Response
from workers.ledger.exchange import Recorded
from workers.ledger.outcomes import response_document
from workers.publishing.remarks import with_remarks
from workers.streams.batch import RawEntry

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
    cause = admitted.event
    envelope = {**_envelope(admitted.entry.first_id), "causationid": cause.id}
    if cause.correlationid is not None:
        envelope["correlationid"] = cause.correlationid
    if cause.traceparent is not None:
        envelope["traceparent"] = cause.traceparent
    common = _common_data(admitted.key, admitted.response, version, outcome)
    return _each_concept(envelope, admitted.key, common, outcome["concepts"])


def restated_events(
    key: LearnerKey, recorded: Recorded, concept_ids: Collection[str]
) -> list[bytes]:
    """The events of a response in the log once more, with the ids that they had.

    Causation, correlation and trace are not stored with a response, so these are left out.

    Args:
        key: whose response it is.
        recorded: the response with its stored outcome.
        concept_ids: only the events about these concepts.
    """
    changes = [c for c in recorded.outcome["concepts"] if c["concept_id"] in concept_ids]
    entry_id = recorded.entry.rpartition("/")[2]
    common = _common_data(key, recorded.response, recorded.version, recorded.outcome)
    return _each_concept(_envelope(entry_id), key, common, changes)


def current_event(key: LearnerKey, time_us: int, data: Mapping[str, Any]) -> bytes:
    """The event of a value that follows from no single response, such as after a correction.

    Args:
        key: whose value it is.
        time_us: when it is said, microseconds since 1970.
        data: all of the event's data but tenant and student; its id follows from concept and
            version.
    """
    concept_id = data["concept_id"]
    return orjson.dumps(
        {
            **_envelope(f"{time_us // 1000}-0"),
            "id": _event_id(key, str(data["version"]), concept_id),
            "subject": f"{key.student_id}/{concept_id}",
            "data": {**key._asdict(), **with_remarks(data)},
        }
    )


def _envelope(entry_id: str) -> dict[str, Any]:
    """What every event says that follows from an entry; its time is the entry's."""
    return {
        "specversion": "1.0",
        "source": SOURCE,
        "type": MasteryChanged.TYPE,
        "time": iso(int(entry_id.partition("-")[0]) * 1000),
        "datacontenttype": "application/json",
    }


def _each_concept(
    envelope: Mapping[str, Any],
    key: LearnerKey,
    common: Mapping[str, Any],
    changes: Iterable[Mapping[str, Any]],
) -> list[bytes]:
    return [
        orjson.dumps(
            {
                **envelope,
                "id": _event_id(key, common["response_id"], change["concept_id"]),
                "subject": f"{key.student_id}/{change['concept_id']}",
                "data": with_remarks({**common, **change}),
            }
        )
        for change in changes
    ]


def _common_data(
    key: LearnerKey, response: Response, version: int, outcome: Mapping[str, Any]
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "tenant_id": key.tenant_id,
        "student_id": key.student_id,
        "version": version,
        "ability": outcome["ability"],
        **response_document(response),
        "parameters_version": outcome["parameters_version"],
    }
    if response.session_id is not None:
        data["session_id"] = response.session_id
        data["session"] = outcome["session"]
    return data


def _event_id(key: LearnerKey, cause: str, concept_id: str) -> str:
    """The id of the event about a concept that follows from a response, or else from a version."""
    # Ids hold no control characters, so a unit separator keeps the four apart.
    return _uuid5(_MASTERY_IDS, "\x1f".join((*key, cause, concept_id)))


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
                **_redriven(entry),
                "deliveries": deliveries,
                "rejected_at": moment,
                **_original(entry),
            },
        }
    )


def _redriven(entry: RawEntry) -> dict[str, str]:
    """When its event was first accepted: redriven once more it is judged by that again."""
    return {} if entry.redriven_from is None else {"first_entry_id": entry.redriven_from}


def _original(entry: RawEntry) -> dict[str, str | bool]:
    """The entry's own text, so that it can be sent again."""
    text = entry.fields.get(EVENT_FIELD.encode())
    if text is None:
        # No publisher of ours: all its fields, each name and value as text where it is text.
        fields = [[_as_text(part) for part in pair] for pair in entry.fields.items()]
        return {"event": orjson.dumps(fields).decode(), "without_event": True}
    try:
        return {"event": text.decode()}
    except UnicodeDecodeError:
        return {"event_base64": base64.b64encode(text).decode()}


def _as_text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
