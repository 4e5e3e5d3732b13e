"""The events that leave: valid by the contract, the same at each try, whole where refused."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.mastery import MasteryChanged
from contracts.rejections import RejectionCode, ResponseRejected
from tests.support.doubles import STREAM, admitted, entry_id, events_of, record, recorder
from tests.support.factories import MISSING, START, event_json, moment
from workers.common.errors import Refused
from workers.ledger.memory.ledger import MemoryLedger
from workers.publishing.event_ids import uuid5 as fast_uuid5
from workers.publishing.rejection_event import rejection_event
from workers.streams.batch import RawEntry

NOW = datetime(2026, 11, 21, 10, 0, 0, 123_456, tzinfo=UTC)
INVALID = Refused(RejectionCode.INVALID, "data.response.item_id is missing: add it", "data.x")


async def published(**changes: Any) -> list[dict[str, Any]]:
    (result,) = await record(recorder(MemoryLedger()), [admitted(**changes)])
    for event in result.events:
        MasteryChanged.model_validate_json(event)
    return events_of(result)


def rejected(fields: dict[bytes, bytes], refusal: Refused = INVALID) -> dict[str, Any]:
    text = rejection_event(STREAM, RawEntry(entry_id(3), fields), refusal, 4, NOW)
    ResponseRejected.model_validate_json(text)
    document: dict[str, Any] = json.loads(text)
    return document


async def test_given_a_response_then_its_event_keeps_all_contract_promises() -> None:
    (event,) = await published(score=1.0)

    assert event["subject"] == "student-42/fractions.add"
    assert event["type"] == "practice.mastery.changed.v1"
    assert event["causationid"] == admitted().event.id
    assert (event["correlationid"], event["traceparent"]) == (
        "req-7f3a",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    data = event["data"]
    assert (data["tenant_id"], data["student_id"]) == ("school-7", "student-42")
    assert data["previous_mastery"] == 0.25
    # 0.25 · 0.9 / (0.25 · 0.9 + 0.75 · 0.2) = 0.6, and 0.6 + 0.4 · 0.1 = 0.64
    assert data["mastery"] == pytest.approx(0.64, abs=1e-12)
    assert data["probability_correct"] == pytest.approx(0.25 * 0.9 + 0.75 * 0.2, abs=1e-12)
    assert (data["attempts"], data["mastered"], data["transition"]) == (1, False, "none")
    assert (data["item_id"], data["correct"], data["score"]) == ("q-101", True, 1.0)
    assert (data["session_id"], data["session"]) == ("s-9", {"responses": 1, "correct": 1})
    assert data["ability"]["scale"] == "math"
    assert data["ability"]["previous_theta"] == pytest.approx(0.0, abs=1e-12)
    assert data["ability"]["theta"] > 0
    assert data["parameters_version"] == 1
    assert data["answered_at"][:23] == data["last_answered_at"][:23] == moment()[:23]
    assert event["time"][:19] == moment()[:19]


async def test_given_no_session_nor_trace_then_these_are_left_out() -> None:
    (event,) = await published(
        session_id=MISSING, envelope_changes={"correlationid": MISSING, "traceparent": MISSING}
    )
    assert not {"correlationid", "traceparent"} & event.keys()
    assert not {"session", "session_id"} & event["data"].keys()


async def test_given_the_same_response_then_ids_are_equal_and_others_differ() -> None:
    first = await published(concept_ids=["a", "b"])
    again = await published(concept_ids=["a", "b"], envelope_changes={"id": str(UUID(int=7))})
    others = [
        await published(concept_ids=["a"], student="student-43"),
        await published(concept_ids=["a"], tenant_id="school-8"),
        await published(concept_ids=["a"], number=1),
    ]
    ids = [event["id"] for event in first]
    assert [event["id"] for event in again] == ids
    assert all(UUID(id_).version == 5 for id_ in ids)
    assert len({*ids, *(event["id"] for other in others for event in other)}) == 5


async def test_given_answers_to_mastered_and_back_then_transitions_are_told() -> None:
    ledger = MemoryLedger()
    scores = [1.0] * 5 + [0.0] * 4
    batch = [admitted(number=n, score=s, correct=MISSING) for n, s in enumerate(scores)]
    results = await record(recorder(ledger), batch)
    data = [event["data"] for result in results for event in events_of(result)]
    assert [d["previous_mastery"] for d in data[1:]] == [d["mastery"] for d in data[:-1]]
    assert [d["mastered"] for d in data] == [d["mastery"] >= 0.95 for d in data]
    crossings = [d["transition"] for d in data if d["transition"] != "none"]
    assert crossings == ["mastered", "lapsed"]
    assert [d["session"] for d in data][-1] == {"responses": 9, "correct": 5}


@given(st.uuids(), st.text())
def test_given_any_name_then_our_uuid_is_the_standards(namespace: UUID, name: str) -> None:
    assert fast_uuid5(namespace, name) == str(uuid5(namespace, name))


def test_given_a_refused_entry_then_it_is_kept_whole_with_its_reason() -> None:
    text = b'{"a": "\\u00e9 \xc3\xa9", "b": [1,  2]}\n'
    event = rejected({b"event": text, b"other": b"x"})

    data = event["data"]
    assert data["event"].encode() == text
    assert "event_base64" not in data
    assert (data["code"], data["status"], data["field"]) == ("invalid", 422, "data.x")
    assert data["reason"] == INVALID.reason
    assert (data["stream"], data["entry_id"], data["deliveries"]) == (STREAM, entry_id(3), 4)
    assert data["rejected_at"] == event["time"] == "2026-11-21T10:00:00.123Z"
    assert event["subject"] == entry_id(3)


def test_given_an_entry_that_is_not_utf_8_then_its_bytes_are_kept() -> None:
    data = rejected({b"event": b"\xff\x00\xfe"})["data"]
    assert base64.b64decode(data["event_base64"]) == b"\xff\x00\xfe"
    assert "event" not in data


def test_given_an_entry_without_an_event_then_all_its_fields_are_kept() -> None:
    data = rejected({b"__data__": b"\x89BIN", b"name": "é".encode()})["data"]
    assert json.loads(data["event"]) == [
        ["__data__", {"base64": base64.b64encode(b"\x89BIN").decode()}],
        ["name", "é"],
    ]


@pytest.mark.parametrize("text", [b"", b"\x00\x1f", "\ufffe\U0010ffff".encode(), b'"\\ud800"'])
def test_given_any_text_then_the_rejection_is_valid_and_gives_it_back(text: bytes) -> None:
    assert rejected({b"event": text})["data"]["event"].encode() == text


def test_given_the_same_entry_refused_again_then_the_event_has_the_same_id() -> None:
    assert rejected({b"event": b"1"})["id"] == rejected({b"event": b"2"})["id"]


@pytest.mark.parametrize("code", RejectionCode)
def test_given_any_code_then_the_rejection_is_valid(code: RejectionCode) -> None:
    assert rejected({b"event": event_json()}, Refused(code, "why"))["data"]["status"] == code.status


async def test_given_an_entry_then_the_events_bear_its_time_not_the_workers() -> None:
    (event,) = await published(number=5)
    assert datetime.fromisoformat(event["time"]) == START.replace(second=5)
