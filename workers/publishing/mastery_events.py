"""Make the events of a changed mastery: `practice.mastery.changed.v1`."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

import orjson

from contracts.mastery import MasteryChanged
from workers.admission.verdicts import Admitted
from workers.common.times import iso
from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Recorded
from workers.ledger.outcomes import response_document
from workers.publishing.event_ids import SOURCE, uuid5
from workers.publishing.remarks import with_remarks

_MASTERY_IDS: Final = UUID("5f0c7a0e-2f5d-5d0b-9b8e-7a1d1c2e3f40")


def mastery_events(admitted: Admitted, recorded: Recorded) -> list[bytes]:
    """Make the `practice.mastery.changed.v1` events of a recorded response, as JSON.

    Args:
        admitted: the entry that owns the response; its event's id, correlation and trace go into
            each new event.
        recorded: the response with its stored outcome.
    """
    key, cause = admitted.key, admitted.event
    envelope = {**_envelope(admitted.entry.first_id), "causationid": cause.id}
    if cause.correlationid is not None:
        envelope["correlationid"] = cause.correlationid
    if cause.traceparent is not None:
        envelope["traceparent"] = cause.traceparent
    return _each_concept(envelope, key, _common_data(key, recorded), recorded.outcome["concepts"])


def restated_events(
    key: LearnerKey, recorded: Recorded, concept_ids: Collection[str]
) -> list[bytes]:
    """Make the events of a recorded response once more, with the ids they had.

    Causation, correlation and trace are not stored with a response, so these are left out.

    Args:
        key: the learner.
        recorded: the response with its stored outcome.
        concept_ids: the concepts to make events about.
    """
    changes = [c for c in recorded.outcome["concepts"] if c["concept_id"] in concept_ids]
    entry_id = recorded.entry.rpartition("/")[2]
    return _each_concept(_envelope(entry_id), key, _common_data(key, recorded), changes)


def current_event(key: LearnerKey, time_us: int, data: Mapping[str, Any]) -> bytes:
    """Make the event of a value that follows from no single response, such as a correction's.

    Its id depends on learner, concept and version.

    Args:
        key: the learner.
        time_us: the event's time, microseconds since 1970.
        data: the event's data without tenant and student.
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
    """Make the fields that all events of an entry share; their time is the entry's."""
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


def _common_data(key: LearnerKey, recorded: Recorded) -> dict[str, Any]:
    response, outcome = recorded.response, recorded.outcome
    data: dict[str, Any] = {
        "tenant_id": key.tenant_id,
        "student_id": key.student_id,
        "version": recorded.version,
        "ability": outcome["ability"],
        **response_document(response),
        "parameters_version": outcome["parameters_version"],
    }
    if response.session_id is not None:
        data["session_id"] = response.session_id
        data["session"] = outcome["session"]
    return data


def _event_id(key: LearnerKey, cause: str, concept_id: str) -> str:
    """Make the id of the event about a concept, from its response id or else its version."""
    # Ids hold no control characters, so a unit separator keeps the four apart.
    return uuid5(_MASTERY_IDS, "\x1f".join((*key, cause, concept_id)))
