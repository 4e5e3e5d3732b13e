"""Events that the Python client makes: valid, and refused early where the engine would."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from contracts.client import Answer, job_requested, response_recorded
from contracts.client.publishing import fields_of
from contracts.jobs import JobRequested
from contracts.responses import ResponseRecorded
from tests.support.factories import claims, uuid_of

_ANSWER: Answer = {
    "response_id": uuid_of("response"),
    "student_id": "student-42",
    "item_id": "q-101",
    "concept_ids": ["fractions.add"],
    "answered_at": "2026-11-21T09:29:58.400Z",
    "correct": True,
}


def _sent(event: ResponseRecorded | JobRequested) -> Any:
    return json.loads(fields_of(event)["event"])


def test_given_an_answer_then_its_event_holds_what_was_given_and_no_more() -> None:
    event = response_recorded(
        _ANSWER,
        claims=claims(nonce=None, app_metadata={"roles": ["a"]}),
        token="eyJ",
        source="/flask/practice",
        correlationid="req-7",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    sent = _sent(event)

    assert ResponseRecorded.model_validate(event) == event
    assert (sent["subject"], sent["source"]) == ("student-42", "/flask/practice")
    assert sent["correlationid"] == "req-7"
    assert sent["data"]["claims"] == claims(nonce=None, app_metadata={"roles": ["a"]})
    assert sent["data"]["token"] == "eyJ"
    at = sent["data"]["response"].pop("answered_at")
    assert datetime.fromisoformat(at) == datetime(2026, 11, 21, 9, 29, 58, 400_000, UTC)
    assert sent["data"]["response"] == {k: v for k, v in _ANSWER.items() if k != "answered_at"}


def test_given_objects_of_python_then_they_are_written_as_json() -> None:
    answer: Answer = {
        **_ANSWER,
        "response_id": UUID(uuid_of("response")),
        "answered_at": datetime(2026, 11, 21, 9, tzinfo=UTC),
        "concept_ids": ("a", "b"),
    }
    response = response_recorded(answer, claims=claims(), source="/x").data.response

    assert response.response_id == uuid_of("response")
    assert response.answered_at == datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert response.concept_ids == ("a", "b")


@pytest.mark.parametrize(
    "changes",
    [
        {"answered_at": "2026-11-21T09:29:58"},
        {"answered_at": datetime(2026, 11, 21)},  # noqa: DTZ001  # the case
        {"concept_ids": []},
        {"score": 0.2},
        {"response_id": "7"},
    ],
    ids=str,
)
def test_given_what_the_engine_refuses_then_no_event_is_made(changes: Any) -> None:
    with pytest.raises(ValidationError):
        response_recorded({**_ANSWER, **changes}, claims=claims(), source="/x")


def test_given_claims_without_issuer_then_no_event_is_made() -> None:
    with pytest.raises(ValidationError, match="iss"):
        response_recorded(_ANSWER, claims={"sub": "student-42"}, source="/x")


def test_given_bad_headers_of_a_stranger_then_they_are_left_out() -> None:
    event = response_recorded(
        _ANSWER, claims=claims(), source="/x", correlationid="a\nb", traceparent="00-zz"
    )

    assert {"correlationid", "traceparent"}.isdisjoint(_sent(event))


def test_given_a_job_then_its_event_asks_for_it() -> None:
    event = job_requested(
        {"job_id": uuid_of("job"), "kind": "verify", "parameters": {"student_id": None}},
        claims=claims(role="service_role"),
        source="/admin",
        id=uuid_of("event"),
    )

    assert event.id == uuid_of("event")
    assert _sent(event)["data"]["parameters"] == {"student_id": None}
    assert "token" not in _sent(event)["data"]
