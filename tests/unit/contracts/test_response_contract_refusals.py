"""`practice.response.recorded.v1`: what is refused, and at which path."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import ResponseRecorded
from tests.support.factories import MISSING, changed, event, event_json, uuid_of
from tests.support.response_events import accept

RESPONSE = "data.response"
CLAIMS = "data.claims"
ANSWERED_AT = f"{RESPONSE}.answered_at"


def faults(text: str | bytes) -> list[str]:
    """Paths of all that is wrong."""
    with pytest.raises(ValidationError) as caught:
        ResponseRecorded.model_validate_json(text)
    return [".".join(map(str, error["loc"])) for error in caught.value.errors()]


NO_IDS = [
    "",
    "x" * 129,
    "a\u0000b",
    "a\n",
    "\t",
    "\u007f",
    "\u0085",
    "\u009f",
    1,
    True,
    [],
    {},
    1.5,
]
NO_UUIDS = [
    "",
    "0193",
    uuid_of("x").replace("-", ""),
    "{" + uuid_of("x") + "}",
    "urn:uuid:" + uuid_of("x"),
    uuid_of("x") + "\n",
    " " + uuid_of("x"),
    uuid_of("x")[:-1] + "g",
    uuid_of("x")[:-1] + "٣",
    1,
    None,
]
NO_TIMES = [
    "",
    "1795000000",
    "1795000000.5",
    1795000000,
    1795000000.5,
    None,
    True,
    "now",
    "2026-11-21",
    "09:29:58Z",
    "2026-11-21T09:29:58",
    "2026-11-21T09:29Z",
    "2026-11-21T09Z",
    "20261121T092958Z",
    "2026-W47-6T09:29:58Z",
    "2026-325T09:29:58Z",
    "2026-11-21T09:29:58,4Z",
    "2026-11-21T09:29:58.Z",
    "2026-11-21T09:29:58.1234567890Z",
    "2026-11-21T09:29:58+0530",
    "2026-11-21T09:29:58+05",
    "2026-11-21T09:29:58+24:00",
    "2026-11-21T09:29:58+05:60",
    "2026-11-21T09:29:58 Z",
    "2026-11-21T09:29:58Z\n",
    " 2026-11-21T09:29:58Z",
    "2026-11-21T09:29:58UTC",
    "2026-11-21_09:29:58Z",
    "2026-11-21T24:00:00Z",
    "2026-11-21T23:59:60Z",
    "2026-11-21T09:60:00Z",
    "2026-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "-2026-11-21T09:29:58Z",
    "12026-11-21T09:29:58Z",
    "٢٠٢٦-11-21T09:29:58Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
]
NO_PROBABILITIES = [-0.1, 1.1, "1", "0.5", True, [], 10**400]
NO_COUNTS = [-1, 1.5, 1.0, "1", True, 2**63, 10**30, []]
NO_CONCEPTS: list[object] = [None, [], "fractions.add", {"a": 1}, 1]
NO_AUDIENCES: list[object] = [None, "", [], 1, [1], {"a": 1}, ["a"] * 65]
NO_BOOLEANS: list[object] = ["true", 1, 0, 1.0, [], "yes"]
NO_NUMERIC_DATES = ["1795000000", True, None, [], "2026-11-21T09:30:00Z", 10**400]

WRONG: list[tuple[str, object]] = [
    ("specversion", MISSING),
    ("specversion", "0.3"),
    ("specversion", 1.0),
    ("type", MISSING),
    ("type", "practice.response.recorded.v2"),
    ("type", "practice.mastery.changed.v1"),
    ("type", None),
    ("id", MISSING),
    *(("id", value) for value in NO_UUIDS),
    ("source", MISSING),
    ("source", ""),
    ("source", 1),
    ("subject", ""),
    ("subject", 1),
    ("datacontenttype", "text/plain"),
    ("datacontenttype", None),
    *(("time", value) for value in NO_TIMES if value is not None),
    *(("correlationid", value) for value in NO_IDS),
    ("traceparent", "00-xyz"),
    ("traceparent", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"),
    ("traceparent", 1),
    ("data", MISSING),
    ("data", None),
    ("data", "{}"),
    ("data", []),
    (CLAIMS, MISSING),
    (CLAIMS, None),
    (CLAIMS, "eyJ"),
    (CLAIMS, []),
    ("data.token", 1),
    (f"{CLAIMS}.sub", MISSING),
    *((f"{CLAIMS}.sub", value) for value in [*NO_IDS, None]),
    (f"{CLAIMS}.iss", MISSING),
    (f"{CLAIMS}.iss", ""),
    (f"{CLAIMS}.iss", 1),
    (f"{CLAIMS}.aud", MISSING),
    *((f"{CLAIMS}.aud", value) for value in NO_AUDIENCES),
    (f"{CLAIMS}.exp", MISSING),
    (f"{CLAIMS}.iat", MISSING),
    *((f"{CLAIMS}.exp", value) for value in NO_NUMERIC_DATES),
    *((f"{CLAIMS}.iat", value) for value in NO_NUMERIC_DATES),
    *((f"{CLAIMS}.nbf", value) for value in NO_NUMERIC_DATES if value is not None),
    (f"{CLAIMS}.role", 1),
    (f"{CLAIMS}.role", ["service_role"]),
    (RESPONSE, MISSING),
    (RESPONSE, None),
    (RESPONSE, []),
    (f"{RESPONSE}.response_id", MISSING),
    *((f"{RESPONSE}.response_id", value) for value in NO_UUIDS),
    (f"{RESPONSE}.student_id", MISSING),
    *((f"{RESPONSE}.student_id", value) for value in [*NO_IDS, None]),
    (f"{RESPONSE}.item_id", MISSING),
    *((f"{RESPONSE}.item_id", value) for value in [*NO_IDS, None]),
    *((f"{RESPONSE}.session_id", value) for value in NO_IDS),
    *((f"{RESPONSE}.scale", value) for value in [*NO_IDS, None]),
    (f"{RESPONSE}.concept_ids", MISSING),
    *((f"{RESPONSE}.concept_ids", v) for v in NO_CONCEPTS),
    (f"{RESPONSE}.concept_ids", [f"c{k}" for k in range(17)]),
    *((f"{RESPONSE}.correct", value) for value in NO_BOOLEANS),
    *((f"{RESPONSE}.score", value) for value in NO_PROBABILITIES),
    (ANSWERED_AT, MISSING),
    *((ANSWERED_AT, value) for value in NO_TIMES),
    *((f"{RESPONSE}.response_time_ms", value) for value in NO_COUNTS),
    *((f"{RESPONSE}.attempt", value) for value in [*NO_COUNTS, 0]),
    *((f"{RESPONSE}.hints_used", value) for value in NO_COUNTS),
]


@pytest.mark.parametrize(
    ("path", "value"), WRONG, ids=lambda v: "missing" if v is MISSING else repr(v)[:40]
)
def test_given_one_wrong_field_when_read_then_its_path_alone_is_named(
    path: str, value: object
) -> None:
    assert faults(json.dumps(changed(event(), path, value))) == [path]


@pytest.mark.parametrize("value", NO_IDS)
def test_given_a_wrong_concept_when_read_then_its_place_is_named(value: object) -> None:
    wrong = json.dumps(event(concept_ids=["a", value]))
    assert faults(wrong) == [f"{RESPONSE}.concept_ids.1"]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
@pytest.mark.parametrize(
    "path", [f"{CLAIMS}.exp", f"{CLAIMS}.iat", f"{CLAIMS}.nbf", f"{RESPONSE}.score"]
)
def test_given_no_finite_number_when_read_then_its_path_is_named(literal: str, path: str) -> None:
    text = json.dumps(changed(event(), path, "PLACE")).replace('"PLACE"', literal)
    assert faults(text) == [path]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"concept_ids": ["a", "b", "a"]}, "concept_ids must be distinct"),
        ({"correct": MISSING}, "correct or score is required"),
        ({"correct": None, "score": None}, "correct or score is required"),
        ({"correct": True, "score": 0.49}, "correct is true but score is 0.49"),
        ({"correct": False, "score": 0.5}, "correct is false but score is 0.5"),
    ],
)
def test_given_fields_that_disagree_then_the_response_is_named_with_remedy(
    changes: dict[str, Any], says: str
) -> None:
    text = json.dumps(event(**changes))
    assert faults(text) == [RESPONSE]
    with pytest.raises(ValidationError, match=says):
        ResponseRecorded.model_validate_json(text)


@pytest.mark.parametrize("value", NO_TIMES)
def test_given_a_wrong_time_when_read_then_the_words_say_what_a_time_is(value: object) -> None:
    with pytest.raises(ValidationError, match=r"RFC 3339 time with a zone, such as 2026-11-21T"):
        accept(event(answered_at=value))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"\xff\xfe",
        b"{}{}",
        event_json() + b"x",
        event_json()[:-1],
        event_json().replace(b"q-101", b"q\xff101"),
        event_json().replace(b"q-101", b"\\ud800"),
        event_json().replace(b"q-101", b"\\udc00\\ud800"),
        event_json().replace(b"q-101", b"q\x00"),
        event_json().replace(b'"q-101"', b"[" * 100_000),
        event_json().replace(b'"q-101"', b'{"a":' * 10_000),
        event_json().replace(b"true", b"True"),
        event_json().decode().encode("utf-16"),
        b"\xef\xbb\xbf" + event_json(),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_given_no_json_object_when_read_then_the_whole_is_named(text: bytes) -> None:
    assert faults(text) == [""]


def test_given_a_wrong_field_of_many_when_read_then_all_are_named() -> None:
    candidate = changed(changed(event(), "id", 1), f"{RESPONSE}.item_id", "")
    assert faults(json.dumps(candidate)) == ["id", f"{RESPONSE}.item_id"]


# Whatever comes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
PATHS = sorted({path for path, _ in WRONG})


@given(st.binary(max_size=200))
def test_given_any_bytes_when_read_then_only_a_validation_error_is_raised(data: bytes) -> None:
    with pytest.raises(ValidationError):
        ResponseRecorded.model_validate_json(data)


@given(st.lists(st.tuples(st.sampled_from(PATHS), JSON), min_size=1, max_size=3))
def test_given_any_json_in_any_field_then_the_worst_is_a_validation_error(
    changes: list[tuple[str, object]],
) -> None:
    candidate = event()
    for path, value in sorted(changes, key=lambda change: -len(change[0])):
        candidate = changed(candidate, path, value)
    try:
        recorded = ResponseRecorded.model_validate_json(json.dumps(candidate))
    except ValidationError:
        return
    response = recorded.data.response
    assert 0.0 <= response.credit <= 1.0
    assert 1 <= len(set(response.concept_ids)) == len(response.concept_ids) <= 16
    assert "\0" not in "".join((*response.concept_ids, response.item_id, response.student_id))


@given(st.integers(0, len(event_json()) - 1), st.binary(max_size=3))
def test_given_a_damaged_event_then_it_is_accepted_or_a_validation_error(
    place: int, damage: bytes
) -> None:
    text = event_json()
    try:
        recorded = ResponseRecorded.model_validate_json(text[:place] + damage + text[place + 1 :])
    except ValidationError:
        return
    assert recorded.type == ResponseRecorded.TYPE
