"""Make the event of a refused entry: `practice.response.rejected.v1`."""

import base64
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from contracts.rejections import ResponseRejected
from contracts.streams import EVENT_FIELD
from workers.common.errors import Refused
from workers.publishing.event_ids import SOURCE, uuid5
from workers.streams.batch import RawEntry

_REJECTION_IDS: Final = UUID("0b0a5f3c-9f0e-5a53-8a6e-1f2d3c4b5a69")


def rejection_event(
    stream: str, entry: RawEntry, refusal: Refused, deliveries: int, rejected_at: datetime
) -> bytes:
    """Make the `practice.response.rejected.v1` event of a refused entry, as JSON.

    Its id depends on stream and entry alone, so a repeat is recognisable.

    Args:
        stream: the stream of the entry.
        entry: the refused entry; the event holds it whole.
        refusal: the code, the reason and the field at fault.
        deliveries: how often the entry was delivered, 1 or more.
        rejected_at: the present time, in UTC.
    """
    moment = rejected_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": uuid5(_REJECTION_IDS, f"{stream}\x1f{entry.entry_id}"),
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
    """Name the first entry of a redriven event: another redrive is judged by its time again."""
    return {} if entry.redriven_from is None else {"first_entry_id": entry.redriven_from}


def _original(entry: RawEntry) -> dict[str, str | bool]:
    """Keep the entry's own text, so that it can be sent again."""
    text = entry.fields.get(EVENT_FIELD.encode())
    if text is None:
        # Another program published this entry: keep all its fields, as text where they are text.
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
