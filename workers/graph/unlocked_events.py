"""The events that report a concept for which a learner is ready."""

from typing import Any, Final
from uuid import UUID, uuid5

import orjson

from contracts.mastery import MasteryChanged
from contracts.unlocked import ConceptUnlocked, UnlockedData
from workers.common.times import iso, to_us
from workers.graph.unlocking import Unlocked
from workers.publishing.event_ids import SOURCE
from workers.streams.batch import RawEntry

_UNLOCKED_IDS: Final = UUID("9d1c0e57-6a2b-5f84-8c3d-2e7f10b4a695")


def unlocked_event(unlocked: Unlocked, cause: MasteryChanged, entry: RawEntry) -> bytes:
    """Build the `practice.concept.unlocked.v1` event of an unlocked concept, as JSON.

    Args:
        unlocked: the unlock as the graph recorded it.
        cause: the event that completed the prerequisites.
        entry: the entry of that event; gives the time if the event has none.
    """
    entered_us = entry.entered_ms * 1000
    # Ids hold no control characters, so a unit separator keeps the three apart.
    name = "\x1f".join(unlocked.key)
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(uuid5(_UNLOCKED_IDS, name)),
        "source": SOURCE,
        "type": ConceptUnlocked.TYPE,
        "subject": f"{unlocked.student_id}/{unlocked.concept_id}",
        "time": iso(entered_us if cause.time is None else to_us(cause.time)),
        "datacontenttype": "application/json",
        "causationid": cause.id,
    }
    if cause.correlationid is not None:
        event["correlationid"] = cause.correlationid
    if cause.traceparent is not None:
        event["traceparent"] = cause.traceparent
    data = unlocked._asdict() | {"at": iso(to_us(unlocked.at))}
    event["data"] = {name: data[name] for name in UnlockedData.model_fields}
    return orjson.dumps(event)
