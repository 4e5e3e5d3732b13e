"""Each bad input gives its code, its field, and a reason that a person can act on."""

import json
from typing import Any

import pytest

from contracts.rejections import RejectionCode
from tests.support.doubles import admission, entry_id, raw
from tests.support.factories import MISSING, changed, event, event_json, uuid_of
from workers.admission.verdicts import Rejection
from workers.common.errors import Refused
from workers.streams.batch import RawEntry

SECRET = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"


def refused(entry: RawEntry) -> Refused:
    verdict = admission().judge(entry)
    assert isinstance(verdict, Rejection), "it was admitted"
    assert verdict.entry is entry
    return verdict.refusal


def refused_text(text: bytes | str) -> Refused:
    return refused(raw(text.encode() if isinstance(text, str) else text))


NO_EVENT: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "JSON"),
    "words": (b"hello", "JSON"),
    "cut off": (event_json()[:-1], "JSON"),
    "two values": (event_json() + b"{}", "JSON"),
    "not UTF-8": (b'{"a": "\xff"}', "JSON"),
    "UTF-16": (event_json().decode().encode("utf-16"), "JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + event_json(), "JSON"),
    "too deep": (b"[" * 5000 + b"]" * 5000, "JSON"),
    "half a surrogate": (event_json(item_id="X").replace(b'"X"', b'"\\ud800"'), "JSON"),
    "a list": (b"[]", "object"),
    "a list of events": (b"[" + event_json() + b"]", "object"),
    "a string": (b'"event"', "object"),
    "a number": (b"1", "object"),
    "null": (b"null", "object"),
    "an event as a string": (json.dumps(event_json().decode()).encode(), "object"),
}


@pytest.mark.parametrize(("text", "named"), NO_EVENT.values(), ids=NO_EVENT.keys())
def test_given_no_event_then_the_reason_says_what_to_publish(text: bytes, named: str) -> None:
    refusal = refused_text(text)

    assert (refusal.code, refusal.field) == (RejectionCode.INVALID, "event")
    assert named in refusal.reason
    assert "publish" in refusal.reason


@pytest.mark.parametrize(
    "fields",
    [{}, {b"data": event_json()}, {b"Event": event_json()}, {b"\xff": b""}, {b"x" * 200: b""}],
)
def test_given_an_entry_without_an_event_then_the_reason_lists_its_fields(
    fields: dict[bytes, bytes],
) -> None:
    refusal = refused(RawEntry(entry_id(0), fields))

    assert (refusal.code, refusal.field) == (RejectionCode.INVALID, "event")
    for name in fields:
        assert name.decode(errors="replace")[:70] in refusal.reason
    assert "XADD" in refusal.reason
    assert len(refusal.reason) < 300


def test_given_ten_megabytes_then_it_is_too_large_and_the_reason_is_short() -> None:
    refusal = refused_text(json.dumps(event() | {"padding": "x" * 10_000_000}))

    assert refusal.code is RejectionCode.TOO_LARGE
    assert "MAX_EVENT_BYTES=65536" in refusal.reason
    assert len(refusal.reason) < 200


MISSING_FIELDS = [
    "specversion", "id", "source", "type", "data", "data.response", "data.response.response_id",
    "data.response.student_id", "data.response.item_id", "data.response.concept_ids",
    "data.response.answered_at",
]  # fmt: skip


@pytest.mark.parametrize("path", MISSING_FIELDS)
def test_given_a_required_field_is_missing_then_it_is_named(path: str) -> None:
    refusal = refused_text(json.dumps(changed(event(), path, MISSING)))

    assert (refusal.code, refusal.field) == (RejectionCode.INVALID, path)
    assert f"{path} is missing: add it" in refusal.reason


WRONG: list[tuple[str, Any]] = [
    ("specversion", "0.3"),
    ("specversion", 1.0),
    ("id", 5),
    ("id", "not a uuid"),
    ("id", "{01930000-0000-7000-8000-000000000000}"),
    ("id", "urn:uuid:01930000-0000-7000-8000-000000000000"),
    ("id", "01930000000070008000000000000000"),
    ("source", ""),
    ("type", "practice.response.recorded.v2"),
    ("type", "practice.mastery.changed.v1"),
    ("type", None),
    ("time", 1795000000),
    ("time", "yesterday"),
    ("datacontenttype", "application/xml"),
    ("correlationid", "a\nb"),
    ("correlationid", "x" * 129),
    ("traceparent", "00-xyz"),
    ("data.response.response_id", "1"),
    ("data.response.response_id", uuid_of("x").replace("-", "")),
    ("data.response.response_id", None),
    ("data.response.student_id", ""),
    ("data.response.student_id", 42),
    ("data.response.student_id", "a\x00b"),
    ("data.response.student_id", "x" * 129),
    ("data.response.session_id", ""),
    ("data.response.session_id", 9),
    ("data.response.item_id", "a\x7fb"),
    ("data.response.item_id", "a\x85b"),
    ("data.response.item_id", True),
    ("data.response.scale", None),
    ("data.response.scale", ""),
    ("data.response.concept_ids.0", 5),
    ("data.response.concept_ids.0", ""),
    ("data.response.correct", "true"),
    ("data.response.correct", 1),
    ("data.response.score", "0.5"),
    ("data.response.score", True),
    ("data.response.score", -0.0001),
    ("data.response.score", 1.0001),
    ("data.response.answered_at", "1795000000"),
    ("data.response.answered_at", 1795000000),
    ("data.response.answered_at", "2026-11-21T09:30:00"),
    ("data.response.answered_at", "2026-11-21"),
    ("data.response.answered_at", "2026-02-30T09:30:00Z"),
    ("data.response.answered_at", "2026-11-21T24:00:01Z"),
    ("data.response.answered_at", "0001-01-01T00:00:00+01:00"),
    ("data.response.answered_at", "9999-12-31T23:59:59-01:00"),
    ("data.response.answered_at", None),
    ("data.response.response_time_ms", -1),
    ("data.response.response_time_ms", 1.5),
    ("data.response.attempt", 0),
    ("data.response.hints_used", "0"),
    ("data.response.hints_used", 2**31),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_given_a_wrong_value_then_field_and_value_are_named(path: str, value: Any) -> None:
    place = "data.response.concept_ids" if path.endswith(".0") else path
    whole = changed(event(), place, [value] if path.endswith(".0") else value)
    if path.endswith("score"):
        del whole["data"]["response"]["correct"]

    refusal = refused_text(json.dumps(whole))

    assert (refusal.code, refusal.field) == (RejectionCode.INVALID, path)
    assert refusal.reason.startswith(f"{path} is ")
    assert repr(value)[:60] in refusal.reason
    assert len(refusal.reason) < 350
    assert any(word in refusal.reason for word in ("should", "must"))


WRONG_SHAPES: list[tuple[str, Any]] = [
    ("data", "a string"),
    ("data", []),
    ("data", None),
    ("data.response", []),
    ("data.response", json.dumps(event()["data"]["response"])),
    ("data.response.concept_ids", []),
    ("data.response.concept_ids", "fractions.add"),
    ("data.response.concept_ids", {"fractions.add": 1}),
    ("data.response.concept_ids", [f"c{n}" for n in range(17)]),
    ("data.response.item_id", {"id": 1}),
]


@pytest.mark.parametrize(("path", "value"), WRONG_SHAPES)
def test_given_a_wrong_shape_then_the_field_is_named(path: str, value: Any) -> None:
    refusal = refused_text(json.dumps(changed(event(), path, value)))

    assert (refusal.code, refusal.field) == (RejectionCode.INVALID, path)
    assert refusal.reason.startswith(f"{path} is ")
    assert "should" in refusal.reason


RULES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"concept_ids": ["a", "b", "a"]}, ("concept_ids", "distinct")),
    ({"correct": MISSING}, ("correct or score", "required")),
    ({"correct": None, "score": None}, ("correct or score", "required")),
    ({"correct": True, "score": 0.4}, ("correct is true", "score is 0.4", "leave one")),
    ({"correct": False, "score": 0.5}, ("correct is false", "score is 0.5", "leave one")),
]


@pytest.mark.parametrize(("changes", "parts"), RULES)
def test_given_fields_that_disagree_then_the_reason_says_which(
    changes: dict[str, Any], parts: tuple[str, ...]
) -> None:
    refusal = refused_text(event_json(**changes))

    assert (refusal.code, refusal.field) == (RejectionCode.INVALID, "data.response")
    assert all(part in refusal.reason for part in parts)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_given_a_number_that_is_none_then_it_is_refused(value: str) -> None:
    text = event_json(correct=MISSING, score=0.123).replace(b"0.123", value.encode())
    refusal = refused_text(text)
    assert (refusal.code, refusal.field) == (RejectionCode.INVALID, "data.response.score")


def test_given_several_wrong_fields_then_the_reason_says_how_many_more() -> None:
    refusal = refused_text(event_json(item_id=1, scale=2, attempt=0))
    assert refusal.field == "data.response.item_id"
    assert "and 2 more" in refusal.reason


PLACES_OF_A_TOKEN: list[tuple[str, Any]] = [
    ("data", SECRET),
    ("data", [SECRET]),
    ("data", {"token": SECRET, "claims": {}}),
    ("data", json.dumps({"token": SECRET})),
    ("data.token", [SECRET]),
    ("data.token", {"jwt": SECRET}),
    ("data.claims", SECRET),
    ("data.claims", {"token": SECRET}),
    ("data.claims.sub", {"token": SECRET}),
    ("data.claims.aud", 5),
    ("data.claims.exp", SECRET),
    ("data.claims.role", [SECRET]),
    ("data.claims.iss", {"x": SECRET}),
    ("data.response", {"token": SECRET}),
    ("data.response.item_id", {"token": SECRET}),
    ("data.response.concept_ids", {"token": SECRET}),
]


@pytest.mark.parametrize(("path", "value"), PLACES_OF_A_TOKEN)
def test_given_a_token_in_a_wrong_place_then_no_reason_repeats_it(path: str, value: Any) -> None:
    whole = changed(event(claim_changes={"email": "secret@example.org"}), path, value)
    refusal = refused_text(json.dumps(whole))
    for part in (SECRET, SECRET[:12], "c2lnbm", "secret@example.org"):
        assert part not in refusal.reason
