"""Reading dead letters: what is there is found, and nothing whatever makes it raise."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.dead_letters import ENTRY, LETTER, PLAIN, holding, letter, rejection
from tests.support.factories import MISSING, changed, event, event_json
from workers.operations.dead_letters.dead_letter import (
    Claimed,
    DeadLetterId,
    moment_of,
    read_dead_letter,
)


def test_given_a_rejection_then_all_of_it_is_read() -> None:
    dead_letter = letter()

    assert str(dead_letter.id) == LETTER
    assert (dead_letter.code, dead_letter.text("stream")) == ("conflict", PLAIN.responses)
    assert dead_letter.claimed() == Claimed("school-7", "student-42")
    assert (dead_letter.first_entry_id, dead_letter.accepted_at) == (
        ENTRY,
        "2026-11-21T09:30:00.123Z",
    )
    assert (dead_letter.redriven_as, dead_letter.redriven_at) == (None, None)
    assert dead_letter.event == event_json()


def test_given_a_refused_redriven_entry_then_its_first_acceptance_is_known() -> None:
    dead_letter = letter(entry_id="1795259999999-0", redriven_from=ENTRY)

    assert dead_letter.text("entry_id") == "1795259999999-0"
    assert dead_letter.first_entry_id == ENTRY
    assert dead_letter.accepted_at == "2026-11-21T09:30:00.123Z"


@pytest.mark.parametrize("text", [b"\xff{}", b"", b"{}", "ü\u2028".encode(), bytes(range(256))])
def test_given_any_bytes_then_they_are_what_is_sent_again(text: bytes) -> None:
    assert letter(fields={b"event": text, b"more": b"1"}).event == text


def test_given_an_entry_without_event_then_there_is_nothing_to_send() -> None:
    pairs = json.dumps([["data", "{}"]], separators=(",", ":")).encode()
    assert letter(fields={b"data": b"{}"}).event is None
    # The same text in a field `event` is another matter.
    assert letter(fields={b"event": pairs}).event == pairs


@pytest.mark.parametrize(
    "kept", [b"", b"no JSON", b"[]", b"5", b"{}", b'{"data": 5}', b'{"data": {"event": 5}}']
)
def test_given_what_is_no_rejection_then_it_is_a_letter_without_contents(kept: bytes) -> None:
    dead_letter = letter(kept)
    assert (
        dead_letter.code,
        dead_letter.event,
        dead_letter.first_entry_id,
        dead_letter.accepted_at,
    ) == (None,) * 4
    assert dead_letter.claimed() == Claimed(None, None)


def test_given_an_entry_without_the_field_then_its_letter_has_no_contents() -> None:
    assert read_dead_letter(DeadLetterId(3, "1-1"), PLAIN, {b"x": b"y"}, "tenant_id").data == {}


def test_given_base64_that_is_none_then_there_is_nothing_to_send() -> None:
    kept = json.dumps({"data": {"event_base64": "%"}}).encode()
    assert letter(kept).event is None


@pytest.mark.parametrize(
    ("path", "value", "claimed"),
    [
        ("data.claims.tenant_id", MISSING, Claimed("default", "student-42")),
        ("data.claims.tenant_id", 5, Claimed(None, "student-42")),
        ("data.claims", MISSING, Claimed(None, "student-42")),
        ("data.claims", [], Claimed(None, "student-42")),
        ("data.claims", {"app_metadata": {"tenant_id": "s"}}, Claimed("s", "student-42")),
        ("data.response.student_id", 5, Claimed("school-7", None)),
        ("data.response", None, Claimed("school-7", None)),
        ("data", "x", Claimed(None, None)),
    ],
)
def test_given_an_event_with_faults_then_its_readable_claims_are_read(
    path: str, value: Any, claimed: Claimed
) -> None:
    assert holding(changed(event(), path, value)).claimed() == claimed


def test_given_a_tenant_under_a_claim_of_our_own_then_it_is_found_there() -> None:
    text = rejection({b"event": event_json(claim_changes={"org": {"id": "o-1"}})})
    dead_letter = read_dead_letter(DeadLetterId(None, LETTER), PLAIN, {b"event": text}, "org.id")
    assert dead_letter.claimed().tenant_id == "o-1"


def test_given_a_projector_rejection_then_its_event_names_the_learner() -> None:
    assert holding({"data": {"tenant_id": "t", "student_id": "s"}}).claimed() == Claimed("t", "s")


@given(st.one_of(st.binary(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.dictionaries(
        st.sampled_from(("data", "claims", "response", "student_id", "tenant_id", "x")), inner
    ) | st.lists(inner),
)))  # fmt: skip
def test_given_anything_in_the_event_then_reading_it_never_raises(kept: Any) -> None:
    text = kept if isinstance(kept, bytes) else json.dumps(kept).encode()
    assert holding(text).event == text


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("1795253400123-0", DeadLetterId(None, "1795253400123-0")),
        ("3:1-17", DeadLetterId(3, "1-17")),
        ("0:1-0", DeadLetterId(0, "1-0")),
    ],
)
def test_given_an_id_then_it_is_parsed_and_written_alike(text: str, parsed: DeadLetterId) -> None:
    assert DeadLetterId.parse(text) == parsed
    assert str(parsed) == text


@pytest.mark.parametrize("text", ["", "1", "1-", "-", "a-0", "1-0 ", ":1-0", "1:", "+", "1-0\n"])
def test_given_what_is_no_id_then_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the id of a dead letter"):
        DeadLetterId.parse(text)


@pytest.mark.parametrize(
    ("entry_id", "moment"),
    [
        ("0-1", "1970-01-01T00:00:00.000Z"),
        ("253402300799999-0", "9999-12-31T23:59:59.999Z"),
        ("253402300800000-0", None),
        ("x", None),
        (None, None),
    ],
)
def test_given_an_entry_id_then_its_time_is_told_if_it_is_one(
    entry_id: str | None, moment: str | None
) -> None:
    assert moment_of(entry_id) == moment
