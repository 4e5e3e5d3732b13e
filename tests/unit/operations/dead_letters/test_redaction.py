"""Tokens are never shown, whatever is wrong with the event that holds one."""

import json
from typing import Any

import jwt
import orjson
import pytest

from tests.support.factories import event
from workers.operations.dead_letters.redaction import REDACTED, shown, without_jwts

TOKEN = jwt.encode({"sub": "student-42"}, "x" * 32, algorithm="HS256")


def with_token(token: Any) -> dict[str, Any]:
    made: dict[str, Any] = event()
    made["data"]["token"] = token
    return made


def test_given_an_event_then_all_but_its_token_is_shown() -> None:
    redacted = shown(json.dumps(with_token(TOKEN)).encode())
    assert redacted == with_token(REDACTED)


@pytest.mark.parametrize(
    "place",
    [
        {"token": "opaque-secret"},
        {"Token": "opaque-secret"},
        {"data": {"token": ["opaque-secret"]}},
        {"data": {"token": {"a": "opaque-secret"}}},
        [{"token": "opaque-secret"}],
        {"data": {"jwt": TOKEN}},
        {"authorization": f"Bearer {TOKEN}"},
        {TOKEN: 1},
        [TOKEN[:40]],
    ],
)
def test_given_a_token_in_any_place_then_it_is_not_shown(place: Any) -> None:
    text = json.dumps(shown(json.dumps(place).encode()))
    assert "opaque-secret" not in text
    assert TOKEN[:20] not in text
    assert REDACTED in text


@pytest.mark.parametrize(
    "text",
    [
        b'{"data": {"token": "opaque-secret", ',
        b'{"data": {"token" : "opaque-secret',
        b'{"token": "a\\"opaque-secret", x',
        b"{'token': opaque, \"token\": opaque-secret}",
        b'\xff{"token": "opaque-secret"}',
        b'{"token": "opaque-secret\xff',
        f"not JSON {TOKEN}".encode(),
        f'{{"data": "{TOKEN[:50]}'.encode(),
    ],
)
def test_given_an_event_that_is_no_json_then_its_text_shows_without_token(
    text: bytes,
) -> None:
    redacted = shown(text)
    assert isinstance(redacted, str)
    assert "opaque-secret" not in redacted
    assert TOKEN[:20] not in redacted
    assert REDACTED in redacted


def test_given_values_json_or_stack_cannot_bear_then_words_show_them() -> None:
    deep = b"[" * 100 + b"NaN" + b"]" * 100
    assert shown(b'{"a": NaN, "b": -Infinity, "c": 1.5}') == {"a": "nan", "b": "-inf", "c": 1.5}
    assert "too deep to show" in json.dumps(shown(deep))


def test_given_a_reason_then_only_what_looks_like_a_jwt_goes() -> None:
    assert without_jwts("data.x is 'eye'") == "data.x is 'eye'"
    assert without_jwts(f"is '{TOKEN}': no") == f"is '{REDACTED}': no"


def test_given_numbers_not_every_reader_has_then_they_are_shown_as_text() -> None:
    redacted = shown(
        b'{"huge": 123456789012345678901234567890, "large": 9007199254740993, "on": true}'
    )
    assert redacted == {"huge": "123456789012345678901234567890", "large": 2**53 + 1, "on": True}
    assert orjson.loads(orjson.dumps(redacted)) == redacted
