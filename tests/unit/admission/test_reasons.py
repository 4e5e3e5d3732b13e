"""Reasons: the same words for events, requests and what subscribers receive."""

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.mastery import MasteryChanged
from contracts.rejections import RejectionCode
from workers.admission.reasons import reason_of, refusal_of


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    number: int


def _failure(model: type[BaseModel], text: bytes) -> ValidationError:
    with pytest.raises(ValidationError) as failure:
        model.model_validate_json(text)
    return failure.value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{}", "{}number is missing: add it"),
        (b'{"number": 1, "x": 2}', "{}x is unknown: leave it out"),
        (b'{"number": "1"}', "{}number is '1': input should be a valid integer"),
        (b'{"number": "eyJhbGci"}', "{}number is what looks like a token: "),
        (b'{"x": 1, "y": 2}', "{}number is missing: add it (and 2 more)"),
    ],
)
@pytest.mark.parametrize("below", ["", "parameters"])
def test_given_a_wrong_request_then_path_value_and_remedy_are_said(
    text: bytes, sentence: str, below: str
) -> None:
    reason = reason_of(_failure(_Body, text), below=below)
    assert reason.startswith(sentence.format(f"{below}." if below else ""))


def test_given_a_name_without_end_then_the_reason_is_short() -> None:
    text = b'{"number": 1, "' + b"x" * 10_000 + b'": 1}'
    assert len(reason_of(_failure(_Body, text))) < 150


def test_given_a_wrong_mastery_event_then_it_is_refused_in_the_same_words() -> None:
    refusal = refusal_of(_failure(MasteryChanged, b"[]"))
    assert (refusal.code, refusal.field) == (RejectionCode.INVALID, "event")
    assert refusal.reason.startswith("the event is JSON, but not an object")


def test_given_several_fields_missing_then_the_reason_names_all_of_them() -> None:
    class Event(BaseModel):
        id: str
        source: str
        time: str
        number: int

    failure = _failure(Event, b'{"number": "x"}')

    refusal = refusal_of(failure)

    assert refusal.reason == "id, source and time are missing: add them (and 1 more)"
    assert refusal.field == "id"
