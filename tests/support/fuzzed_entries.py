"""Damage a good event at random so that it can't be valid.

The first line of each function states the rule that the damage breaks. The rules are independent:
no code of the engine is used.
"""

import json
import random
import string
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.support.factories import MISSING, changed

Event = dict[str, Any]
Fuzz = Callable[[Event, random.Random], bytes]

_NO_WHITESPACE: Final = bytes(c for c in range(0x20) if c not in b"\t\n\r")
_STRUCTURE: Final = b'{}[]:,"'

_TYPES: Final[dict[str, frozenset[str]]] = {
    "specversion": frozenset({"string"}),
    "id": frozenset({"string"}),
    "source": frozenset({"string"}),
    "type": frozenset({"string"}),
    "subject": frozenset({"string", "null"}),
    "time": frozenset({"string", "null"}),
    "datacontenttype": frozenset({"string"}),
    "correlationid": frozenset({"string", "null"}),
    "data": frozenset({"object"}),
    "data.response": frozenset({"object"}),
    "data.response.response_id": frozenset({"string"}),
    "data.response.student_id": frozenset({"string"}),
    "data.response.session_id": frozenset({"string", "null"}),
    "data.response.item_id": frozenset({"string"}),
    "data.response.concept_ids": frozenset({"array"}),
    "data.response.scale": frozenset({"string"}),
    "data.response.score": frozenset({"integer", "number"}),
    "data.response.answered_at": frozenset({"string"}),
    "data.response.attempt": frozenset({"integer", "null"}),
    "data.response.response_time_ms": frozenset({"integer", "null"}),
    "data.response.hints_used": frozenset({"integer", "null"}),
}
_TYPES_OF_IDENTITY: Final[dict[str, frozenset[str]]] = {
    "data.claims": frozenset({"object"}),
    "data.claims.sub": frozenset({"string"}),
    "data.claims.iss": frozenset({"string"}),
    "data.claims.aud": frozenset({"string", "array"}),
    "data.claims.exp": frozenset({"integer", "number"}),
    "data.claims.iat": frozenset({"integer", "number"}),
    "data.claims.nbf": frozenset({"integer", "number", "null"}),
    "data.claims.role": frozenset({"string", "null"}),
    "data.claims.tenant_id": frozenset({"string", "null"}),
    "data.token": frozenset({"string", "null"}),
}
_REQUIRED: Final = (
    "specversion", "id", "source", "type", "data", "data.response", "data.response.response_id",
    "data.response.student_id", "data.response.item_id", "data.response.concept_ids",
    "data.response.answered_at", "data.response.score",
)  # fmt: skip
_REQUIRED_OF_IDENTITY: Final = (
    "data.claims", "data.claims.sub", "data.claims.iss", "data.claims.aud", "data.claims.exp",
    "data.claims.iat",
)  # fmt: skip
_IDS: Final = ("student_id", "session_id", "item_id", "scale")


def _written(event: Event) -> bytes:
    return json.dumps(event).encode()


def _at_random(text: bytes, chance: random.Random, added: bytes) -> bytes:
    place = chance.randrange(len(text) + 1)
    return text[:place] + added + text[place:]


def truncated(event: Event, chance: random.Random) -> bytes:
    """JSON that ends before its outermost brace is closed."""
    text = _written(event)
    return text[: chance.randrange(len(text))]


def with_control_character(event: Event, chance: random.Random) -> bytes:
    """RFC 8259 allows no control character anywhere, but white space between tokens."""
    return _at_random(_written(event), chance, bytes([chance.choice(_NO_WHITESPACE)]))


def not_utf_8(event: Event, chance: random.Random) -> bytes:
    """These bytes are in no UTF-8 text."""
    return _at_random(_written(event), chance, bytes([chance.choice(b"\xc0\xc1\xf5\xfe\xff")]))


def _structural(text: bytes) -> Iterator[int]:
    """Yield the places of characters of JSON's grammar, not content; nothing is escaped here."""
    inside = False
    for place, character in enumerate(text):
        if character == ord('"'):
            inside = not inside
            yield place
        elif not inside and character in _STRUCTURE:
            yield place


def _damaged(event: Event, chance: random.Random, times: int) -> bytes:
    text = _written(event)
    assert b"\\" not in text
    place = chance.choice(list(_structural(text)))
    return text[:place] + text[place : place + 1] * times + text[place + 1 :]


def structure_dropped(event: Event, chance: random.Random) -> bytes:
    """Brackets and quotes come in pairs, and values are kept apart."""
    return _damaged(event, chance, 0)


def structure_doubled(event: Event, chance: random.Random) -> bytes:
    """Brackets and quotes come in pairs, and no value is left out between two commas."""
    return _damaged(event, chance, 2)


def noise(event: Event, chance: random.Random) -> bytes:  # noqa: ARG001  # as the others
    """A JSON object begins with a brace, which this does not."""
    return b"x" + chance.randbytes(chance.randrange(300))


def bareword(event: Event, chance: random.Random) -> bytes:
    """JSON has three barewords, and no other."""
    word = "".join(chance.choices(string.ascii_uppercase, k=6))
    path = chance.choice(["id", "data.response.item_id", "data.claims.sub"])
    return _written(changed(event, path, "PLACE")).replace(b'"PLACE"', word.encode())


def _of_type(kind: str, chance: random.Random) -> Any:
    values: dict[str, Callable[[], Any]] = {
        "string": lambda: "".join(chance.choices(string.printable, k=chance.randrange(20))),
        "integer": lambda: chance.choice([0, 1, -1, 2**53, -(2**70), chance.getrandbits(300)]),
        "number": lambda: chance.uniform(0.1, 0.9),
        "boolean": lambda: chance.random() < 0.5,
        "null": lambda: None,
        "array": lambda: [_of_type("integer", chance) for _ in range(chance.randrange(4))],
        "object": lambda: {"k": _of_type("string", chance)},
    }
    return values[kind]()


_ALL_TYPES: Final = ("string", "integer", "number", "boolean", "null", "array", "object")


def _wrong_type(event: Event, chance: random.Random, types: dict[str, frozenset[str]]) -> Event:
    path = chance.choice(sorted(types))
    kind = chance.choice([event_type for event_type in _ALL_TYPES if event_type not in types[path]])
    return dict(changed(event, path, _of_type(kind, chance)))


def wrong_type(event: Event, chance: random.Random) -> bytes:
    """The interface names the JSON types of the field, and this is none of them."""
    return _written(_wrong_type(event, chance, _TYPES))


def wrong_type_of_identity(event: Event, chance: random.Random) -> bytes:
    """The interface names the JSON types of the claim, and this is none of them."""
    return _written(_wrong_type(event, chance, _TYPES_OF_IDENTITY))


def both_wrong(event: Event, chance: random.Random) -> bytes:
    """A field and a claim are both wrong: form comes before identity."""
    claims = {k: v for k, v in _TYPES_OF_IDENTITY.items() if k != "data.token"}
    # The claim first: the field may be `data` itself, which holds the claims.
    return _written(_wrong_type(_wrong_type(event, chance, claims), chance, _TYPES))


def field_missing(event: Event, chance: random.Random) -> bytes:
    """The interface requires the field."""
    return _written(changed(event, chance.choice(_REQUIRED), MISSING))


def claim_missing(event: Event, chance: random.Random) -> bytes:
    """The interface requires the claim."""
    return _written(changed(event, chance.choice(_REQUIRED_OF_IDENTITY), MISSING))


def control_in_id(event: Event, chance: random.Random) -> bytes:
    """An id has no control character, escaped or not."""
    control = chr(chance.choice([*range(0x20), *range(0x7F, 0xA0)]))
    path = f"data.response.{chance.choice(_IDS)}"
    return _written(changed(event, path, "a" * chance.randrange(3) + control + "b"))


def long_id(event: Event, chance: random.Random) -> bytes:
    """An id has 128 characters at most."""
    text = chance.choice("aé😀") * chance.randrange(129, 2_000)
    return _written(changed(event, f"data.response.{chance.choice(_IDS)}", text))


def no_uuid(event: Event, chance: random.Random) -> bytes:
    """A UUID has no letter after f."""
    text = list(event["id"])
    text[chance.choice([n for n, c in enumerate(text) if c != "-"])] = chance.choice("ghxyzGZ_")
    return _written(
        changed(event, chance.choice(["id", "data.response.response_id"]), "".join(text))
    )


def score_out_of_range(event: Event, chance: random.Random) -> bytes:
    """A score is from 0 to 1."""
    score = chance.choice([-1, 1]) * chance.uniform(1.0001, 10 ** chance.randrange(1, 300))
    return _written(changed(event, "data.response.score", score))


def no_time(event: Event, chance: random.Random) -> bytes:
    """A time of RFC 3339 has no letter but T and Z."""
    text = list("2026-11-21T09:29:58.400Z")
    text[chance.randrange(19)] = chance.choice("abcXYW?/")
    return _written(changed(event, "data.response.answered_at", "".join(text)))


FUZZED: Final[dict[str, tuple[str, Fuzz]]] = {
    **{
        f"fuzzed: {fuzz.__name__}": ("invalid", fuzz)
        for fuzz in (
            truncated, with_control_character, not_utf_8, structure_dropped, structure_doubled,
            noise, bareword, wrong_type, both_wrong, field_missing, control_in_id, long_id,
            no_uuid, score_out_of_range, no_time,
        )
    },
    **{
        f"fuzzed: {fuzz.__name__}": ("unauthenticated", fuzz)
        for fuzz in (wrong_type_of_identity, claim_missing)
    },
}  # fmt: skip
"""Rejection code and damage, by name."""
