"""Mastery changed, response rejected and job requested: examples, faults, round trips."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from contracts import (
    CloudEvent,
    ConceptUnlocked,
    JobRequested,
    MasteryChanged,
    RejectionCode,
    ResponseRejected,
)
from tests.support.factories import MISSING, changed, claims, moment, uuid_of


def enveloped(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": uuid_of(kind),
        "source": "/mastery-engine",
        "type": kind,
        "subject": "student-42/fractions.add",
        "time": moment(),
        "datacontenttype": "application/json",
        "correlationid": "req-7f3a",
        "causationid": uuid_of("cause"),
        "data": data,
    }


MASTERY = enveloped(
    "practice.mastery.changed.v1",
    {
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
        "ability": {"scale": "math", "theta": 0.42, "standard_error": 0.31, "previous_theta": 0.33},
        "response_id": uuid_of("response"),
        "item_id": "q-101",
        "session_id": "s-9",
        "correct": True,
        "score": 1.0,
        "session": {"responses": 12, "correct": 9},
        "answered_at": moment(),
        "last_answered_at": moment(),
        "parameters_version": 1,
    },
)
UNLOCKED = enveloped(
    "practice.concept.unlocked.v1",
    {
        "tenant_id": "school-7",
        "student_id": "student-42",
        "concept_id": "fractions.multiply",
        "unlocked_by": "fractions.add",
        "prerequisites": ["fractions.add", "numbers"],
        "version": 1912,
        "at": moment(),
    },
)
REJECTED = enveloped(
    "practice.response.rejected.v1",
    {
        "code": "invalid",
        "status": 422,
        "reason": "data.response.score is 2: give 0.0 to 1.0",
        "field": "data.response.score",
        "stream": "practice.responses.v1",
        "entry_id": "1795000000000-0",
        "deliveries": 1,
        "rejected_at": moment(),
        "event": "{}",
    },
)
JOB = enveloped(
    "practice.job.requested.v1",
    {
        "job_id": uuid_of("job"),
        "kind": "rebuild",
        "parameters": {"student_id": "student-42", "deep": [1, None, {"a": 0.5}]},
        "claims": claims(role="service_role"),
    },
)
CASES: list[tuple[type[CloudEvent[Any]], dict[str, Any]]] = [
    (MasteryChanged, MASTERY),
    (ConceptUnlocked, UNLOCKED),
    (ResponseRejected, REJECTED),
    (JobRequested, JOB),
]


def read(model: type[BaseModel], candidate: object) -> BaseModel:
    return model.model_validate_json(json.dumps(candidate))


@pytest.mark.parametrize(("model", "example"), CASES)
def test_given_a_valid_event_read_and_written_then_it_is_the_same(
    model: type[CloudEvent[Any]], example: dict[str, Any]
) -> None:
    first = read(model, example)
    assert model.model_validate_json(first.model_dump_json(exclude_none=True)) == first
    written = json.loads(first.model_dump_json(exclude_none=True))
    assert written["data"].keys() == example["data"].keys()
    assert first.model_dump()["type"] == example["type"]


@pytest.mark.parametrize(("model", "example"), CASES)
def test_given_an_event_of_another_type_when_read_then_its_type_is_refused(
    model: type[CloudEvent[Any]], example: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError, match="type"):
        read(model, {**example, "type": example["type"].replace("v1", "v2")})


@pytest.mark.parametrize(
    ("model", "example", "path", "value"),
    [
        *((MasteryChanged, MASTERY, f"data.{name}", MISSING) for name in MASTERY["data"]
          if name not in {"session_id", "session"}),
        *((MasteryChanged, MASTERY, f"data.{name}", value)
          for name in ("mastery", "previous_mastery", "probability_correct", "score")
          for value in (-0.1, 1.1, "1", True, None)),
        *((MasteryChanged, MASTERY, f"data.{name}", value)
          for name in ("version", "parameters_version")
          for value in (0, 1.0, "1", True)),
        *((MasteryChanged, MASTERY, "data.attempts", value) for value in (-1, 1.0, "1", True)),
        (MasteryChanged, MASTERY, "data.cause", "mood"),
        (MasteryChanged, MASTERY, "data.correction", "flip"),
        (MasteryChanged, MASTERY, "data.transition", "lost"),
        (MasteryChanged, MASTERY, "data.ability.standard_error", -1.0),
        (MasteryChanged, MASTERY, "data.ability.scale", ""),
        (MasteryChanged, MASTERY, "data.session.responses", -1),
        (MasteryChanged, MASTERY, "data.last_answered_at", "1795000000"),
        (MasteryChanged, MASTERY, "causationid", "{" + uuid_of("x") + "}"),
        *((ConceptUnlocked, UNLOCKED, f"data.{name}", MISSING) for name in UNLOCKED["data"]),
        (ConceptUnlocked, UNLOCKED, "data.version", 0),
        (ConceptUnlocked, UNLOCKED, "data.prerequisites", "a, b"),
        (ConceptUnlocked, UNLOCKED, "data.at", "1795000000"),
        *((ResponseRejected, REJECTED, f"data.{name}", MISSING) for name in REJECTED["data"]
          if name not in {"field", "event"}),
        (ResponseRejected, REJECTED, "data.status", 200),
        (ResponseRejected, REJECTED, "data.code", "unknown"),
        (ResponseRejected, REJECTED, "data.deliveries", 0),
        *((JobRequested, JOB, f"data.{name}", MISSING) for name in ("job_id", "kind", "claims")),
        (JobRequested, JOB, "data.kind", "drop"),
        (JobRequested, JOB, "data.job_id", "1"),
        (JobRequested, JOB, "data.parameters", []),
        (JobRequested, JOB, "data.claims.exp", "soon"),
    ],
)  # fmt: skip
def test_given_one_wrong_field_when_read_then_its_path_is_named(
    model: type[CloudEvent[Any]], example: dict[str, Any], path: str, value: object
) -> None:
    with pytest.raises(ValidationError) as caught:
        read(model, changed(example, path, value))
    assert [".".join(map(str, error["loc"])) for error in caught.value.errors()] == [path]


@pytest.mark.parametrize("name", ["theta", "previous_theta", "standard_error"])
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_given_no_finite_ability_when_read_then_it_is_refused(name: str, literal: str) -> None:
    text = json.dumps(changed(MASTERY, f"data.ability.{name}", "PLACE"))
    with pytest.raises(ValidationError, match=f"data.ability.{name}"):
        MasteryChanged.model_validate_json(text.replace('"PLACE"', literal))


def test_given_every_rejection_code_then_its_status_matches_the_interface() -> None:
    assert {code.value: code.status for code in RejectionCode} == {
        "invalid": 422,
        "too_large": 413,
        "unauthenticated": 401,
        "forbidden": 403,
        "not_found": 404,
        "conflict": 409,
        "rate_limited": 429,
        "poison": 500,
    }
    for code in RejectionCode:
        read(
            ResponseRejected,
            changed(changed(REJECTED, "data.code", code.value), "data.status", code.status),
        )


def test_given_a_read_event_when_changed_then_it_is_refused() -> None:
    for model, example in CASES:
        with pytest.raises(ValidationError, match="frozen"):
            read(model, example).data = None  # type: ignore[attr-defined]  # what is tested


@given(st.binary(max_size=100))
def test_given_any_bytes_when_read_then_only_a_validation_error_is_raised(data: bytes) -> None:
    for model, _ in CASES:
        with pytest.raises(ValidationError):
            model.model_validate_json(data)
