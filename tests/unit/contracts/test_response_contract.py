"""`practice.response.recorded.v1`: what is accepted."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import ResponseRecorded
from tests.support.factories import MISSING, changed, event, event_json, uuid_of
from tests.support.response_events import accept


def test_given_the_example_of_the_interface_then_it_is_read_entirely() -> None:
    recorded = ResponseRecorded.model_validate_json(
        """{
          "specversion": "1.0", "id": "01931e4e-7c5e-7b3a-9a67-0242ac120002",
          "source": "/express/practice", "type": "practice.response.recorded.v1",
          "subject": "student-42", "time": "2026-11-21T09:30:00.123Z",
          "datacontenttype": "application/json", "correlationid": "req-7f3a",
          "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
          "data": {
            "claims": {"sub": "student-42", "iss": "https://x.supabase.co/auth/v1",
                       "aud": "authenticated", "role": "authenticated", "iat": 1795000000,
                       "exp": 1795003600, "tenant_id": "school-7"},
            "token": "eyJhbGciOiJIUzI1NiJ9.e30.x",
            "response": {
              "response_id": "01931e4e-7c5e-7b3a-9a67-0242ac120003", "student_id": "student-42",
              "session_id": "s-9", "item_id": "q-101", "concept_ids": ["fractions.add"],
              "scale": "math", "correct": true, "answered_at": "2026-11-21T09:29:58.400Z",
              "response_time_ms": 8200, "attempt": 1, "hints_used": 0}}}"""
    )
    response, claims = recorded.data.response, recorded.data.claims
    assert recorded.correlationid == "req-7f3a"
    assert recorded.time == datetime(2026, 11, 21, 9, 30, 0, 123000, UTC)
    assert claims.sub == "student-42"
    assert claims.exp == 1795003600
    assert claims.model_extra == {"tenant_id": "school-7"}
    assert recorded.data.token == "eyJhbGciOiJIUzI1NiJ9.e30.x"
    assert response.response_id == "01931e4e-7c5e-7b3a-9a67-0242ac120003"
    assert response.concept_ids == ("fractions.add",)
    assert (response.session_id, response.item_id, response.scale) == ("s-9", "q-101", "math")
    assert (response.correct, response.score, response.credit) == (True, None, 1.0)
    assert response.answered_at == datetime(2026, 11, 21, 9, 29, 58, 400000, UTC)
    assert (response.response_time_ms, response.attempt, response.hints_used) == (8200, 1, 0)


def test_given_only_required_fields_when_read_then_defaults_fill_the_rest() -> None:
    candidate = event(
        session_id=MISSING, scale=MISSING, response_time_ms=MISSING, attempt=MISSING,
        hints_used=MISSING, claim_changes={"role": MISSING, "tenant_id": MISSING},
        envelope_changes=dict.fromkeys(
            ("subject", "time", "datacontenttype", "correlationid", "traceparent"), MISSING
        ),
    )  # fmt: skip
    recorded = accept(candidate)
    response = recorded.data.response
    assert (response.session_id, response.scale, response.attempt) == (None, "default", None)
    assert (recorded.time, recorded.correlationid) == (None, None)
    assert recorded.datacontenttype == "application/json"


@pytest.mark.parametrize(
    ("given", "credit"),
    [
        ({"correct": True}, 1.0),
        ({"correct": False}, 0.0),
        ({"correct": MISSING, "score": 0.25}, 0.25),
        ({"correct": MISSING, "score": 1}, 1.0),
        ({"correct": None, "score": 0}, 0.0),
        ({"correct": True, "score": 0.5}, 0.5),
        ({"correct": False, "score": 0.49999}, 0.49999),
        ({"correct": True, "score": None}, 1.0),
    ],
)
def test_given_correct_or_score_when_read_then_the_score_is_what_counts(
    given: dict[str, Any], credit: float
) -> None:
    assert accept(event(**given)).data.response.credit == credit


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T09:29:58Z", (2026, 11, 21, 9, 29, 58)),
        ("2026-11-21t09:29:58.4z", (2026, 11, 21, 9, 29, 58, 400_000)),
        ("2026-11-21 09:29:58.000001Z", (2026, 11, 21, 9, 29, 58, 1)),
        ("2026-11-21T09:29:58.123456789Z", (2026, 11, 21, 9, 29, 58, 123_456)),
        ("2026-11-21T09:29:58.999999999Z", (2026, 11, 21, 9, 29, 58, 999_999)),
        ("2026-11-21T09:29:58.999999999+00:00", (2026, 11, 21, 9, 29, 58, 999_999)),
        ("2026-11-21T09:29:58+05:30", (2026, 11, 21, 3, 59, 58)),
        ("2026-11-21T09:29:58-00:00", (2026, 11, 21, 9, 29, 58)),
        ("2026-12-31T23:30:00-01:00", (2027, 1, 1, 0, 30)),
        ("2024-02-29T00:00:00Z", (2024, 2, 29)),
        ("0001-01-01T00:00:00Z", (1, 1, 1)),
        ("0001-01-01T00:00:00-00:01", (1, 1, 1, 0, 1)),
        ("9999-12-31T23:59:59.999999Z", (9999, 12, 31, 23, 59, 59, 999_999)),
        ("9999-12-31T23:59:59+00:01", (9999, 12, 31, 23, 58, 59)),
    ],
)
def test_given_an_rfc_3339_time_when_read_then_it_is_that_moment_in_utc(
    text: str, moment: tuple[int, ...]
) -> None:
    read = accept(event(answered_at=text)).data.response.answered_at
    assert read.timetuple()[: min(6, len(moment))] == moment[:6]
    assert read.microsecond == (moment[6] if len(moment) > 6 else 0)
    assert read.utcoffset() == timedelta(0)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)), st.integers(-1439, 1439))  # noqa: DTZ001  # the zone is the second argument
def test_given_any_moment_and_offset_when_read_then_microseconds_are_kept(
    moment: datetime, offset: int
) -> None:
    sign = "-" if offset < 0 else "+"
    text = f"{moment.isoformat()}{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    read = accept(event(answered_at=text)).data.response.answered_at
    assert read == moment.replace(tzinfo=UTC) - timedelta(minutes=offset)


def test_given_an_upper_case_uuid_then_it_equals_the_lower_case_one() -> None:
    own = uuid_of("x")
    assert accept(event(response_id=own.upper())).data.response.response_id == own


@pytest.mark.parametrize(
    "text", ["a", "x" * 128, "é" * 128, "😀" * 128, "a b", "a/b:c", " ", "\u00a0", "ﷺ", '"', "\\"]
)
def test_given_text_without_control_characters_as_id_then_it_stays_as_is(
    text: str,
) -> None:
    response = accept(event(item_id=text, concept_ids=[text], session_id=text)).data.response
    assert (response.item_id, response.concept_ids, response.session_id) == (text, (text,), text)


def test_given_sixteen_concepts_when_read_then_their_order_is_kept() -> None:
    names = [f"c{15 - k}" for k in range(16)]
    assert accept(event(concept_ids=names)).data.response.concept_ids == tuple(names)


@pytest.mark.parametrize("aud", ["authenticated", ["authenticated"], ["a", "b"]])
def test_given_one_audience_or_several_when_read_then_they_are_kept(aud: object) -> None:
    assert accept(event(claim_changes={"aud": aud})).data.claims.aud == aud


@pytest.mark.parametrize("path", ["", "data.", "data.response."])
@pytest.mark.parametrize("value", [1, None, "x\u0000", {"deep": [1, {}]}])
def test_given_an_unknown_field_when_read_then_it_is_ignored(path: str, value: object) -> None:
    candidate = changed(event(), f"{path}invented_later", value)
    assert accept(candidate) == accept(event())
    assert "invented_later" not in accept(candidate).model_dump_json()


def test_given_an_unknown_claim_then_it_is_kept_for_the_path_of_the_tenant() -> None:
    extra = {"app_metadata": {"tenant_id": "t"}}
    assert (accept(event(claim_changes=extra)).data.claims.model_extra or {}).get(
        "app_metadata"
    ) == {"tenant_id": "t"}


def test_given_a_field_twice_then_the_last_counts_as_in_javascript() -> None:
    text = event_json().decode().replace('"correct": true', '"correct": true, "correct": false')
    assert ResponseRecorded.model_validate_json(text).data.response.correct is False


def test_given_a_read_event_when_changed_then_it_is_refused() -> None:
    recorded = accept(event())
    for part in (recorded, recorded.data, recorded.data.response, recorded.data.claims):
        name = next(iter(type(part).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, name, "other")


@given(
    st.fixed_dictionaries(
        {
            "session_id": st.none() | st.text("aé 😀/", min_size=1, max_size=8),
            "score": st.floats(0.0, 1.0),
            "correct": st.none(),
            "answered_at": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
            "response_time_ms": st.none() | st.integers(0, 2**53),
        }
    )
)
def test_given_an_event_when_written_and_read_again_then_it_is_the_same(
    changes: dict[str, Any],
) -> None:
    recorded = accept(event(**changes))
    text = recorded.model_dump_json()
    assert ResponseRecorded.model_validate_json(text) == recorded
    assert json.loads(text)["data"]["response"]["answered_at"].endswith("Z")
    assert ResponseRecorded.model_validate(recorded.model_dump()) == recorded
