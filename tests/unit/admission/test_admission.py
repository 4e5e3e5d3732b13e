"""Admission: what is right goes in as it is, and nothing whatever makes it raise."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rejections import RejectionCode
from tests.support.doubles import admission, entry_id, raw
from tests.support.factories import MISSING, START_US, changed, event, event_json, moment
from workers.admission.verdicts import Admitted, Rejection
from workers.common.errors import Refused
from workers.estimation.learner import LearnerKey
from workers.streams.batch import RawEntry


def judged(text: bytes, **settings: Any) -> Admitted:
    verdict = admission(**settings).judge(raw(text))
    assert isinstance(verdict, Admitted), verdict
    return verdict


def refused(text: bytes, **settings: Any) -> Refused:
    verdict = admission(**settings).judge(raw(text))
    assert isinstance(verdict, Rejection)
    return verdict.refusal


def test_given_a_valid_event_then_all_of_it_is_admitted() -> None:
    verdict = judged(event_json())

    assert verdict.key == LearnerKey("school-7", "student-42")
    assert verdict.response.item_id == "q-101"
    assert verdict.response.session_id == "s-9"
    assert verdict.response.concept_ids == ("fractions.add",)
    assert (verdict.response.scale, verdict.response.score) == ("math", 1.0)
    assert verdict.response.answered_at_us == START_US
    assert verdict.event.correlationid == "req-7f3a"
    assert verdict.entry.entry_id == entry_id(0)


def test_given_only_what_is_required_then_defaults_are_admitted() -> None:
    text = event_json(
        session_id=MISSING,
        scale=MISSING,
        response_time_ms=MISSING,
        attempt=MISSING,
        hints_used=MISSING,
        correct=MISSING,
        score=0.25,
        envelope_changes=dict.fromkeys(
            ("subject", "time", "datacontenttype", "correlationid", "traceparent"), MISSING
        ),
        claim_changes={"role": MISSING, "tenant_id": MISSING},
    )

    verdict = judged(text)

    assert (verdict.response.session_id, verdict.response.scale) == (None, "default")
    assert verdict.response.score == 0.25
    assert verdict.key.tenant_id == "default"


def test_given_fields_that_nobody_knows_yet_then_they_are_ignored() -> None:
    ahead = event()
    for place in (ahead, ahead["data"], ahead["data"]["response"], ahead["data"]["claims"]):
        place["new_field"] = {"any": ["thing", None, 1e3]}

    assert judged(json.dumps(ahead).encode()).response == judged(event_json()).response


def test_given_an_entry_with_more_fields_then_only_event_counts() -> None:
    fields = {b"event": event_json(), b"trace": b"\xff", b"__data__": b"{}"}
    assert isinstance(admission().judge(RawEntry(entry_id(0), fields)), Admitted)


@pytest.mark.parametrize(
    ("seconds", "fine"), [(-3e9, True), (0, True), (300, True), (300.001, False), (1e6, False)]
)
def test_given_an_answer_ahead_of_its_entry_then_the_limit_is_five_minutes(
    seconds: float, fine: bool
) -> None:
    verdict = admission().judge(raw(event_json(answered_at=moment(seconds))))

    assert isinstance(verdict, Admitted) is fine
    if isinstance(verdict, Rejection):
        assert verdict.refusal.code is RejectionCode.INVALID
        assert verdict.refusal.field == "data.response.answered_at"
        for part in ("5 minutes", moment(seconds)[:19], moment()[:19], "clock"):
            assert part in verdict.refusal.reason


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2026-11-21T10:30:00.000001+01:00", 1),
        ("2026-11-21t09:30:00z", 0),
        ("2026-11-20T21:30:00-12:00", 0),
        ("2026-11-21T09:30:00.1234567Z", 123_456),
    ],
)
def test_given_a_time_with_any_zone_then_the_moment_counts(text: str, microseconds: int) -> None:
    assert judged(event_json(answered_at=text)).response.answered_at_us == START_US + microseconds


@pytest.mark.parametrize(
    ("changes", "score"),
    [
        ({"correct": True}, 1.0),
        ({"correct": False}, 0.0),
        ({"correct": MISSING, "score": 0}, 0.0),
        ({"correct": MISSING, "score": 0.49999}, 0.49999),
        ({"correct": True, "score": 0.5}, 0.5),
        ({"correct": False, "score": 0.3}, 0.3),
    ],
)
def test_given_correct_or_score_then_the_score_is_what_counts(
    changes: dict[str, Any], score: float
) -> None:
    assert judged(event_json(**changes)).response.score == score


def test_given_an_entry_at_the_size_limit_then_one_byte_more_is_refused() -> None:
    text = event_json()
    size = len(text) + len(b"event")

    assert judged(text, max_event_bytes=size)
    assert refused(text, max_event_bytes=size - 1).code is RejectionCode.TOO_LARGE
    assert str(size) in refused(text, max_event_bytes=size - 1).reason


def test_given_a_token_at_the_size_limit_then_one_byte_more_is_refused() -> None:
    fits = json.dumps(changed(event(), "data.token", "t" * 8192)).encode()
    not_quite = json.dumps(changed(event(), "data.token", "é" * 4097)).encode()

    assert judged(fits)
    assert refused(not_quite).code is RejectionCode.TOO_LARGE
    assert refused(not_quite).field == "data.token"


def _broken(*wrong: str) -> bytes:
    """An event in which each of these is wrong at once."""
    broken = event()
    if "token" in wrong:
        broken = changed(broken, "data.token", "t" * 9000)
    if "form" in wrong:
        broken = changed(broken, "data.response.item_id", 5)
    if "time" in wrong:
        broken = changed(broken, "data.response.answered_at", moment(3000))
    if "expired" in wrong:
        broken = changed(broken, "data.claims.exp", 1)
    if "claims" in wrong:
        broken = changed(broken, "data.claims", {})
    if "foreign" in wrong and "claims" not in wrong:
        broken = changed(broken, "data.claims.sub", "somebody else")
    padding = "x" * 70_000 if "size" in wrong else ""
    return json.dumps(broken | {"padding": padding}).encode()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (("size", "token", "form", "claims"), "too_large"),
        (("token", "form", "claims", "foreign"), "too_large"),
        (("token", "expired"), "too_large"),
        (("form", "claims", "foreign"), "invalid"),
        (("form", "expired", "foreign"), "invalid"),
        (("time", "expired", "foreign"), "invalid"),
        (("claims", "foreign"), "unauthenticated"),
        (("expired", "foreign"), "unauthenticated"),
        (("foreign",), "forbidden"),
    ],
)
def test_given_several_things_wrong_then_the_gravest_is_the_code(
    wrong: tuple[str, ...], code: str
) -> None:
    assert refused(_broken(*wrong)).code.value == code


def test_given_an_id_that_is_no_time_then_the_entry_is_refused() -> None:
    entry = RawEntry(f"{2**64 - 1}-7", {b"event": event_json(claim_changes={"exp": 1e300})})

    verdict = admission().judge(entry)

    assert isinstance(verdict, Rejection)
    assert verdict.refusal.code is RejectionCode.INVALID
    assert entry.entry_id in verdict.refusal.reason


@given(st.binary(max_size=200))
def test_given_any_bytes_then_it_never_raises(text: bytes) -> None:
    verdict = admission().judge(raw(text))
    assert isinstance(verdict, Rejection)
    assert verdict.refusal.code is RejectionCode.INVALID


@given(st.dictionaries(st.binary(max_size=8), st.binary(max_size=20), max_size=4))
def test_given_any_fields_then_it_never_raises(fields: dict[bytes, bytes]) -> None:
    assert isinstance(admission().judge(RawEntry(entry_id(0), fields)), Rejection)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
PATHS = [
    *event(),
    *(f"data.{name}" for name in ("claims", "response", "token")),
    *(f"data.claims.{name}" for name in event()["data"]["claims"]),
    *(f"data.response.{name}" for name in event()["data"]["response"]),
    "data.response.score",
    "data.claims.nbf",
]


@given(st.sampled_from(PATHS), JSON)
def test_given_any_value_in_any_place_then_it_is_judged_and_never_raises(
    path: str, value: Any
) -> None:
    text = json.dumps(changed(event(), path, value)).encode()

    verdict = admission().judge(raw(text))

    if isinstance(verdict, Rejection):
        assert verdict.refusal.reason
        verdict.refusal.reason.encode()


@given(st.integers(0, len(event_json())), st.binary(min_size=1, max_size=3))
def test_given_a_byte_altered_anywhere_then_it_is_judged_and_never_raises(
    at: int, by: bytes
) -> None:
    text = event_json()
    verdict = admission().judge(raw(text[:at] + by + text[at + len(by) :]))
    assert isinstance(verdict, Admitted | Rejection)


def test_given_a_misplaced_token_or_answer_then_the_reason_never_quotes_it() -> None:
    token = "eyJhbGciOiJFUzI1NiJ9." + "e30" * 60 + ".c2ln"
    for path in ("data.response.student_id", "data.response.answered_at", "id", "correlationid"):
        reason = refused(json.dumps(changed(event(), path, token)).encode()).reason
        assert "eyJ" not in reason
        assert "what looks like a token" in reason
    answer = refused(json.dumps(changed(event(), "data.response", "forty-two")).encode())
    assert "forty-two" not in answer.reason
