"""Whose an event is: read as leniently as can be, and never taken for somebody else's."""

import json
from typing import Any

import pytest

from tests.support.dead_letters import ENTRY, PLAIN, letter
from tests.support.factories import MISSING, changed, event
from workers.estimation.learner import LearnerKey
from workers.operations.privacy.belonging import Belonging, version_of
from workers.operations.privacy.removal import letter_until
from workers.streams.entry_ids import entered_ms

ANN = Belonging(LearnerKey("school-7", 'ann "é" \\'), "tenant_id", frozenset({"service_role"}))
NAME = ANN.key.student_id


def mastery(student: str, tenant: str = "school-7", version: Any = 7) -> bytes:
    data = {"tenant_id": tenant, "student_id": student, "version": version}
    return json.dumps({"data": data}).encode()


HERS = event(NAME)
OTHERS = event("bob")
DELEGATED = changed(changed(OTHERS, "data.claims.sub", NAME), "data.claims.role", "service_role")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(HERS), True),
        (json.dumps(HERS, ensure_ascii=False), True),
        (json.dumps(event(NAME, tenant_id="school-8")), False),
        (json.dumps(OTHERS), False),
        (json.dumps(changed(OTHERS, "data.claims.sub", NAME)), True),
        (json.dumps(DELEGATED), False),
        (json.dumps(changed(HERS, "data.claims.sub", "bob")), True),
        (json.dumps(changed(HERS, "data.claims.tenant_id", 7)), True),
        (json.dumps(changed(HERS, "data.claims", MISSING)), True),
        (json.dumps(changed(OTHERS, "data.response.item_id", NAME)), False),
        (json.dumps({"data": {"text": NAME}}), True),
        *(
            (
                json.dumps(
                    changed(changed(OTHERS, "data.claims.sub", NAME), "data.claims.role", r)
                ),
                True,
            )
            for r in (["service_role"], {"a": 1}, 7, None)
        ),
        (json.dumps({"data": {"parameters": {"student_id": NAME}}}), True),
        (json.dumps(HERS)[:-1], True),
        (json.dumps(OTHERS)[:-1], False),
        (json.dumps({"data": NAME + "x"}), False),
        ("", False),
        ("[]", False),
        ("1", False),
    ],
)
def test_given_an_event_when_asked_then_it_is_hers_or_not(text: str, *, expected: bool) -> None:
    assert ANN.owns(text.encode()) is expected
    assert ANN.owns_entry({b"event": text.encode()}) is expected


def test_given_mastery_events_when_asked_then_tenant_and_student_decide() -> None:
    assert ANN.owns(mastery(NAME))
    assert not ANN.owns(mastery(NAME, "school-8"))
    assert not ANN.owns(mastery("bob"))


def test_given_an_entry_without_an_event_then_its_fields_are_examined() -> None:
    assert ANN.owns_entry({b"data": json.dumps({"of": NAME}).encode()})
    assert not ANN.owns_entry({b"data": b'{"of": "bob"}'})


@pytest.mark.parametrize(
    ("text", "version"),
    [(mastery("x"), 7), (mastery("x", version=True), None), (b"{}", None), (b"\xff", None)],
)
def test_given_an_event_then_its_version_is_a_number_or_none(
    text: bytes, version: int | None
) -> None:
    assert version_of(text) == version


@pytest.mark.parametrize(
    ("stream", "version", "until_ms", "expected"),
    [
        (PLAIN.responses, 8, 0, True),
        (PLAIN.responses, 6, -1, False),  # a field of the publisher's own, which means nothing
        (PLAIN.mastery, 7, -1, True),
        (PLAIN.mastery, 8, 0, False),
    ],
)
def test_given_a_dead_letter_when_erasing_then_a_learner_version_counts(
    stream: str, version: int, until_ms: int, *, expected: bool
) -> None:
    entered = {**event(NAME), "data": {**event(NAME)["data"], "version": version}}
    dead_letter = letter(fields={b"event": json.dumps(entered).encode()}, stream=stream)
    assert letter_until(entered_ms(ENTRY) + until_ms, 7)(dead_letter) is expected
