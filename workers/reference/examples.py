"""One complete event of each type, for the AsyncAPI document and the JSON Schemas."""

import json
from typing import Any, Final

from contracts import (
    ConceptUnlocked,
    JobRequested,
    MasteryChanged,
    ResponseRecorded,
    ResponseRejected,
)
from contracts.responses_v0 import ResponseRecordedV0

_TRACE: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

_RECORDED: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "0193da5e-6c0b-7a10-8f4e-2b6d9c1e7a01",
    "source": "/express/practice",
    "type": ResponseRecorded.TYPE,
    "subject": "student-42",
    "time": "2026-11-21T09:30:00.123Z",
    "datacontenttype": "application/json",
    "correlationid": "req-7f3a",
    "traceparent": _TRACE,
    "data": {
        "claims": {
            "sub": "student-42",
            "iss": "https://project.example/auth/v1",
            "aud": "authenticated",
            "role": "authenticated",
            "iat": 1795253000,
            "exp": 1795256600,
            "tenant_id": "school-7",
        },
        "token": "the JWT that these claims came from",
        "response": {
            "response_id": "0193da5e-65d8-7c3e-9b1a-5f0e4d3c2b10",
            "student_id": "student-42",
            "session_id": "s-9",
            "item_id": "q-101",
            "concept_ids": ["fractions.add"],
            "scale": "math",
            "correct": True,
            "answered_at": "2026-11-21T09:29:58.400Z",
            "response_time_ms": 8200,
            "attempt": 1,
            "hints_used": 0,
        },
    },
}

_CHANGED: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "5c2f3b0e-9d4a-5e61-8b7c-1a2f3e4d5c6b",
    "source": "/mastery-engine",
    "type": MasteryChanged.TYPE,
    "subject": "student-42/fractions.add",
    "time": "2026-11-21T09:30:00.210Z",
    "datacontenttype": "application/json",
    "correlationid": "req-7f3a",
    "causationid": _RECORDED["id"],
    "traceparent": _TRACE,
    "data": {
        "tenant_id": "school-7",
        "student_id": "student-42",
        "concept_id": "fractions.add",
        "mastery": 0.925,
        "previous_mastery": 0.71,
        "mastered": False,
        "transition": "none",
        "attempts": 7,
        "version": 1907,
        "probability_correct": 0.697,
        "ability": {
            "scale": "math",
            "theta": 0.42,
            "standard_error": 0.31,
            "previous_theta": 0.33,
        },
        "response_id": _RECORDED["data"]["response"]["response_id"],
        "item_id": "q-101",
        "session_id": "s-9",
        "correct": True,
        "score": 1.0,
        "session": {"responses": 12, "correct": 9},
        "answered_at": "2026-11-21T09:29:58.400Z",
        "last_answered_at": "2026-11-21T09:29:58.400Z",
        "parameters_version": 1,
    },
}

_UNLOCKED: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "7d1e6b52-4c3f-5a80-9e2d-6b5c4d3e2f1a",
    "source": "/mastery-engine",
    "type": ConceptUnlocked.TYPE,
    "subject": "student-42/fractions.multiply",
    "time": "2026-11-21T09:30:00.210Z",
    "datacontenttype": "application/json",
    "correlationid": "req-7f3a",
    "causationid": _CHANGED["id"],
    "traceparent": _TRACE,
    "data": {
        "tenant_id": "school-7",
        "student_id": "student-42",
        "concept_id": "fractions.multiply",
        "unlocked_by": "fractions.add",
        "prerequisites": ["fractions.add", "numbers.multiply"],
        "version": 1912,
        "at": "2026-11-21T09:29:58.400Z",
    },
}

_RECORDED_V0: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "0193da5e-6c0b-7a10-8f4e-2b6d9c1e7a02",
    "source": "/express/practice",
    "type": ResponseRecordedV0.TYPE,
    "time": "2026-11-21T09:30:00.123Z",
    "datacontenttype": "application/json",
    "data": {
        "claims": _RECORDED["data"]["claims"],
        "response": {
            "response_id": "0193da5e-65d8-7c3e-9b1a-5f0e4d3c2b11",
            "student_id": "student-42",
            "session_id": "s-9",
            "item_id": "q-101",
            "concept_id": "fractions.add",
            "correct": True,
            "answered_at": "2026-11-21T09:29:58.400Z",
        },
    },
}

_REFUSED_TEXT: Final = json.dumps({**_RECORDED, "type": "practice.response.recorded.v9"})

_REJECTED: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "b7e3f1d2-0c4b-5a6d-9e8f-7a6b5c4d3e2f",
    "source": "/mastery-engine",
    "type": ResponseRejected.TYPE,
    "subject": "1795253400123-0",
    "time": "2026-11-21T09:30:00.215Z",
    "datacontenttype": "application/json",
    "data": {
        "code": "invalid",
        "status": 422,
        "reason": "type is 'practice.response.recorded.v9': must be practice.response.recorded.v1, "
        "to which a minor version may be appended (.1); other versions are unknown here: publish "
        "that one",
        "field": "type",
        "stream": "practice.responses.v1",
        "entry_id": "1795253400123-0",
        "deliveries": 1,
        "rejected_at": "2026-11-21T09:30:00.215Z",
        "event": _REFUSED_TEXT,
    },
}

_REQUESTED: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "0193da60-1f2e-7d3c-8a4b-6e5f7c8d9a0b",
    "source": "/express/admin",
    "type": JobRequested.TYPE,
    "time": "2026-11-21T09:32:10.000Z",
    "datacontenttype": "application/json",
    "correlationid": "req-81c0",
    "data": {
        "job_id": "0193da60-1f2e-7d3c-8a4b-6e5f7c8d9a0c",
        "kind": "verify",
        "parameters": {},
        "claims": {
            "sub": "service-practice",
            "iss": "https://project.example/auth/v1",
            "aud": "authenticated",
            "role": "service_role",
            "iat": 1795253000,
            "exp": 1795256600,
        },
    },
}

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    example["type"]: example
    for example in (_RECORDED, _CHANGED, _UNLOCKED, _REJECTED, _REQUESTED, _RECORDED_V0)
}
"""Examples by event type."""
