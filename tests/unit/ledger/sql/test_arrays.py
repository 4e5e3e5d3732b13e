"""Array literals: whatever they hold can be told apart again."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.common.times import from_us, iso, to_us
from workers.ledger.sql.arrays import booleans, moments, numbers, plain, texts


def parsed(literal: str) -> list[str | None]:
    """Read a literal of quoted texts and NULLs as Postgres does (manual, section 8.15.6)."""
    assert literal[0] + literal[-1] == "{}"
    parsed: list[str | None] = []
    rest = literal[1:-1]
    while rest:
        if rest.startswith("NULL"):
            parsed.append(None)
            rest = rest[4:]
        else:
            assert rest[0] == '"'
            text, rest = "", rest[1:]
            while rest[0] != '"':
                if rest[0] == "\\":
                    rest = rest[1:]
                text, rest = text + rest[0], rest[1:]
            parsed.append(text)
            rest = rest[1:]
        assert rest[:1] in ("", ",")
        rest = rest[1:]
    return parsed


@given(st.lists(st.none() | st.text() | st.text(alphabet='\\",{}NUL '), max_size=6))
def test_given_any_texts_then_the_literal_gives_them_back(values: list[str | None]) -> None:
    assert parsed(texts(values)) == values


@given(st.lists(st.lists(st.text(max_size=5), max_size=3), max_size=4))
def test_given_literals_within_a_literal_then_both_come_back(values: list[list[str]]) -> None:
    inner = parsed(texts(texts(number) for number in values))
    assert [parsed(number or "") for number in inner] == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_given_any_floats_then_their_text_has_the_same_bits(values: list[float]) -> None:
    literal = plain(values)[1:-1]
    numbers = [float(number) for number in literal.split(",")] if literal else []
    assert [(number, math.copysign(1, number)) for number in numbers] == [
        (number, math.copysign(1, number)) for number in values
    ]


def test_given_infinities_and_nan_then_the_literal_names_them() -> None:
    values = [1.5, math.inf, -math.inf, math.nan]
    assert plain(values) == numbers(values) == "{1.5,inf,-inf,nan}"
    assert numbers([math.inf, None]) == "{inf,NULL}"


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_given_any_moment_then_its_text_gives_it_back(microseconds: int) -> None:
    text = iso(microseconds)
    assert len(text) == 27
    assert text.endswith("Z")
    assert to_us(from_us(microseconds)) == microseconds
    assert from_us(microseconds).isoformat(timespec="microseconds") == text[:-1] + "+00:00"
    assert moments([microseconds, microseconds]) == f"{{{text},{text}}}"


@pytest.mark.parametrize(
    ("literal", "expected"),
    [(texts([]), "{}"), (plain([]), "{}"), (moments([]), "{}"), (booleans([True, False]), "{t,f}")],
)
def test_given_nothing_or_booleans_then_the_literal_is_plain(literal: str, expected: str) -> None:
    assert literal == expected
