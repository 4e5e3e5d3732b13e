"""Versions of `practice.response.recorded`: newer minors, an older major, chains of upcasters."""

import copy
import json
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import ResponseRecorded
from contracts.envelope import CloudEvent
from contracts.responses_v0 import RecordedDataV0, ResponseRecordedV0
from contracts.upcasting import UPCASTERS, Document, Upcaster, read, type_of, upcast
from tests.support.factories import MISSING, changed, event

V1 = "practice.response.recorded.v1"
V0 = "practice.response.recorded.v0"


def early(**changes: Any) -> Any:
    """The event of the factories as an early publisher would have written it."""
    made = changed(event(**changes), "type", V0)
    response = made["data"]["response"]
    response["concept_id"] = response.pop("concept_ids", ["fractions.add"])[0]
    response.pop("scale", None)
    return made


def text(candidate: Any) -> bytes:
    return json.dumps(candidate).encode()


@pytest.mark.parametrize("minor", ["", ".0", ".1", ".3", ".10", ".999999999"])
def test_given_a_minor_version_when_read_then_it_is_accepted(minor: str) -> None:
    candidate = changed(event(), "type", V1 + minor)
    candidate["data"]["response"]["invented_in_this_minor"] = {"deep": [1]}
    assert ResponseRecorded.model_validate_json(text(candidate)).type == V1 + minor


@pytest.mark.parametrize(
    "wrong",
    [".", ".x", ".01", ".-1", ".1.1", ".1 ", ".1\n", "1", "0", ".9999999999", ".٣", "\n", ".1\x00"],
)
def test_given_what_is_no_minor_version_when_read_then_the_type_is_wrong(wrong: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ResponseRecorded.model_validate_json(text(changed(event(), "type", V1 + wrong)))
    assert [error["loc"] for error in caught.value.errors()] == [("type",)]
    assert "publish that one" in str(caught.value)


def test_given_a_named_schema_when_read_then_it_is_kept_and_must_be_text() -> None:
    named = event() | {"dataschema": "https://school.example/schemas/response/v1.3.json"}
    assert ResponseRecorded.model_validate_json(text(named)).dataschema == named["dataschema"]
    unfit: tuple[object, ...] = ("", 1, {})
    for wrong in unfit:
        with pytest.raises(ValidationError, match="dataschema"):
            ResponseRecorded.model_validate_json(text(event() | {"dataschema": wrong}))


def test_given_an_early_event_when_upcast_then_it_equals_the_current_one() -> None:
    made = upcast(text(early(claim_changes={"app_metadata": {"tenant_id": "t"}})))
    should = ResponseRecorded.model_validate_json(
        text(event(scale=MISSING, claim_changes={"app_metadata": {"tenant_id": "t"}}))
    )
    assert made == should
    assert made.type == V1


@pytest.mark.parametrize("correct", [True, False])
def test_given_fields_unknown_to_version_0_then_upcasting_ignores_them(
    correct: bool,
) -> None:
    candidate = early(correct=correct)
    candidate["data"]["response"] |= {"scale": 5, "score": "x", "concept_ids": []}
    response = upcast(text(candidate)).data.response
    assert (response.scale, response.score, response.correct) == ("default", None, correct)
    assert response.concept_ids == ("fractions.add",)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.response.concept_id", MISSING),
        ("data.response.concept_id", ""),
        ("data.response.concept_id", ["a"]),
        ("data.response.correct", MISSING),
        ("data.response.correct", None),
        ("data.response.correct", 1),
        ("data.response.answered_at", "1795000000"),
        ("data.claims.exp", "1795000000"),
        ("data.claims", MISSING),
        ("id", "no uuid"),
    ],
)
def test_given_a_wrong_early_event_when_upcast_then_its_own_field_is_named(
    path: str, value: object
) -> None:
    with pytest.raises(ValidationError) as caught:
        upcast(text(changed(early(), path, value)))
    assert [".".join(map(str, e["loc"])) for e in caught.value.errors()] == [path]


def test_given_a_current_event_when_upcast_then_it_is_read_as_it_is() -> None:
    assert upcast(text(event())) == ResponseRecorded.model_validate_json(text(event()))


@pytest.mark.parametrize("wrong", [b"", b"[]", b"null", b'{"type": 5}', b'{"type": "other"}', b"{"])
def test_given_no_event_when_upcast_then_it_is_a_validation_error(wrong: bytes) -> None:
    with pytest.raises(ValidationError):
        upcast(wrong)


_FEW_BYTES = st.binary(max_size=9)


@given(
    st.binary(max_size=80)
    | st.builds(lambda a, b: a + b'"type":"' + V0.encode() + b, _FEW_BYTES, _FEW_BYTES)
)
def test_given_any_bytes_when_upcast_then_only_a_validation_error_comes(
    data: bytes,
) -> None:
    with pytest.raises(ValidationError):
        upcast(data)


class _Oldest(CloudEvent[RecordedDataV0]):
    TYPE: ClassVar[str] = "practice.response.recorded.v-1"

    type: Literal["practice.response.recorded.v-1"]
    data: RecordedDataV0


def _to_v0(document: Document) -> Document:
    return {**document, "type": V0}


def test_given_several_older_versions_when_upcast_then_steps_run_in_turn() -> None:
    chain = {**UPCASTERS, _Oldest.TYPE: Upcaster(_Oldest, _to_v0)}
    oldest = changed(early(), "type", _Oldest.TYPE)

    assert upcast(text(oldest), chain) == upcast(text(early()))
    with pytest.raises(ValidationError):
        upcast(text(oldest))
    with pytest.raises(ValidationError, match="concept_id"):
        upcast(text(changed(oldest, "data.response.concept_id", 5)), chain)


def test_given_an_upcaster_when_applied_then_its_input_is_unchanged() -> None:
    given_ = early()
    kept = copy.deepcopy(given_)
    UPCASTERS[V0].upcast(given_)
    assert given_ == kept


def test_given_the_registry_then_each_older_version_is_named_by_its_type() -> None:
    assert {kind: step.model.TYPE for kind, step in UPCASTERS.items()} == {  # type: ignore[attr-defined]  # each event class has it
        V0: ResponseRecordedV0.TYPE
    }
    assert ResponseRecorded.TYPE not in UPCASTERS


def test_given_text_when_read_then_it_is_an_object_or_empty() -> None:
    assert read(b'{"type": "t"}') == {"type": "t"}
    assert read(b"[1]") == read(b"\xff") == read(b"") == {}
    assert (type_of({"type": "t"}), type_of({"type": 1}), type_of({})) == ("t", "", "")
