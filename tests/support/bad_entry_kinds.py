"""Kinds of bad entries, each with the code it must be refused with."""

import base64
import json
import random
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tests.support.factories import MISSING, changed
from tests.support.fuzzed_entries import FUZZED, Event, Fuzz
from workers.common.times import iso

Fields = dict[bytes, bytes]
Make = Callable[[Event, random.Random], Fields]


class Kind(NamedTuple):
    """Way to spoil an event, and the expected rejection code."""

    code: str
    make: Make


def _text(text: bytes) -> Make:
    return lambda _event, _chance: {b"event": text}


def _around(make: Callable[[bytes], bytes]) -> Make:
    return lambda event, _chance: {b"event": make(json.dumps(event).encode())}


def _with(path: str, value: Any) -> Make:
    return lambda event, _chance: {b"event": json.dumps(changed(event, path, value)).encode()}


def _all(*changes: tuple[str, Any]) -> Make:
    def make(event: Event, _chance: random.Random) -> Fields:
        for path, value in changes:
            event = changed(event, path, value)
        return {b"event": json.dumps(event).encode()}

    return make


def _literal(path: str, literal: str) -> Make:
    """A value that Python's JSON does not write."""
    return lambda event, _chance: {
        b"event": json.dumps(changed(event, path, "PLACE"))
        .replace('"PLACE"', literal)
        .encode("utf-8", "surrogateescape")
    }


def _at(seconds: float) -> Make:
    """Answered so many seconds after the token was issued, which is about now."""

    def make(event: Event, _chance: random.Random) -> Fields:
        at = iso(int((event["data"]["claims"]["iat"] + seconds) * 1_000_000))
        return {b"event": json.dumps(changed(event, "data.response.answered_at", at)).encode()}

    return make


def _claim_at(name: str, seconds: float) -> Make:
    def make(event: Event, _chance: random.Random) -> Fields:
        moment = event["data"]["claims"]["iat"] + seconds
        return {b"event": json.dumps(changed(event, f"data.claims.{name}", moment)).encode()}

    return make


def _early(path: str = "", value: Any = None) -> Make:
    """Make version 0 of the event, with a fault."""

    def make(event: Event, _chance: random.Random) -> Fields:
        made = early(event)
        return {b"event": json.dumps(changed(made, path, value) if path else made).encode()}

    return make


def early(event: Event) -> Event:
    """The event as version 0 would say it; partial credit and scale are lost."""
    made = dict(changed(event, "type", "practice.response.recorded.v0"))
    response = made["data"]["response"]
    response["concept_id"] = response.pop("concept_ids")[0]
    response["correct"] = response.pop("score") >= 0.5
    response.pop("scale")
    return made


def _beside(event: Event, _chance: random.Random) -> Fields:
    return {b"event": json.dumps(event).encode(), b"more": b"x" * 70_000}


def _forged(event: Event, _chance: random.Random) -> Fields:
    """Expired, and marked as if it had been accepted before."""
    expired = changed(event, "data.claims.exp", 1)
    return {b"event": json.dumps(expired).encode(), b"redriven": b"1-0"}


def _named(name: bytes) -> Make:
    return lambda event, _chance: {name: json.dumps(event).encode()}


def _fuzzed(fuzz: Fuzz) -> Make:
    return lambda event, chance: {b"event": fuzz(event, chance)}


_ID = "data.response.response_id"
_R = "data.response."
_C = "data.claims."
_UUID = "0193da5e-65d8-7c3e-9b1a-5f0e4d3c2b10"

_NO_JSON: Final[dict[str, Make]] = {
    "nothing": _text(b""),
    "white space": _text(b" \n\t "),
    "words": _text(b"hello"),
    "cut off": _around(lambda text: text[:-1]),
    "two documents": _around(lambda text: text + text),
    "a comma too many": _around(lambda text: text[:-1] + b",}"),
    "single quotes": _around(lambda text: text.replace(b'"', b"'")),
    "a comment": _around(lambda text: b"/* hello */" + text),
    "Python's None": _literal("subject", "None"),
    "not UTF-8": _literal("subject", '"a\udcff"'),
    "UTF-16": _around(lambda text: text.decode().encode("utf-16")),
    "a byte order mark": _around(lambda text: b"\xef\xbb\xbf" + text),
    "a NUL byte": _literal("subject", '"a\x00b"'),
    "a raw line break": _literal("subject", '"a\nb"'),
    "half a surrogate": _literal(f"{_R}item_id", '"\\ud800"'),
    "a wrong escape": _literal(f"{_R}item_id", '"\\x41"'),
    "lists too deep": _text(b"[" * 30_000),
    "objects too deep": _literal(f"{_R}new", '{"a":' * 5_000 + "1" + "}" * 5_000),
    "a number of 5,000 digits": _literal(f"{_R}new", "9" * 5_000),
    "a leading zero": _literal(f"{_R}score", "01"),
    "base64": _around(base64.b64encode),
}
_NO_OBJECT: Final[dict[str, Make]] = {
    "a list": _text(b"[]"),
    "a list of events": _around(lambda text: b"[" + text + b"]"),
    "a string": _text(b'"event"'),
    "a number": _text(b"1"),
    "null": _text(b"null"),
    "true": _text(b"true"),
    "NaN": _text(b"NaN"),
    "an event as a string": _around(lambda text: json.dumps(text.decode()).encode()),
    "an empty object": _text(b"{}"),
}
_NO_EVENT_FIELD: Final[dict[str, Make]] = {
    "another field": _named(b"data"),
    "a field in capitals": _named(b"Event"),
    "an envelope of FastStream": _named(b"__data__"),
    "a field of bytes": _named(b"\xff\x00"),
    "bytes in another field": lambda _event, chance: {b"x": b"\xff" + chance.randbytes(20)},
}
_ENVELOPE: Final[dict[str, Make]] = {
    **{f"no {p}": _with(p, MISSING) for p in ("specversion", "id", "source", "type", "data")},
    "specversion 0.3": _with("specversion", "0.3"),
    "specversion as a number": _with("specversion", 1.0),
    "unknown type": _with("type", "practice.hint.shown.v1"),
    "type of another event": _with("type", "practice.mastery.changed.v1"),
    "unknown major version": _with("type", "practice.response.recorded.v2"),
    "major version 10": _with("type", "practice.response.recorded.v10"),
    "no minor version": _with("type", "practice.response.recorded.v1.x"),
    "type null": _with("type", None),
    "id is no UUID": _with("id", "17"),
    "id is a number": _with("id", 17),
    "source empty": _with("source", ""),
    "subject empty": _with("subject", ""),
    "time without a zone": _with("time", "2026-11-21T09:30:00"),
    "time as a number": _with("time", 1795000000),
    "XML": _with("datacontenttype", "application/xml"),
    "a line break in correlationid": _with("correlationid", "a\nb"),
    "correlationid too long": _with("correlationid", "x" * 129),
    "causationid is no UUID": _with("causationid", "x"),
    "traceparent is none": _with("traceparent", "00-xyz"),
    "dataschema as a number": _with("dataschema", 1),
    "data null": _with("data", None),
    "data as a string": _with("data", "{}"),
    "data as a list": _with("data", []),
}
_RESPONSE: Final[dict[str, Make]] = {
    **{
        f"no {name}": _with(_R + name, MISSING)
        for name in ("response_id", "student_id", "item_id", "concept_ids", "answered_at")
    },
    "no response": _with("data.response", MISSING),
    "response as a list": _with("data.response", []),
    "response as a string": _with("data.response", "{}"),
    "a UUID in braces": _with(_ID, "{" + _UUID + "}"),
    "a UUID as urn": _with(_ID, "urn:uuid:" + _UUID),
    "a UUID without hyphens": _with(_ID, _UUID.replace("-", "")),
    "a UUID and a line break": _with(_ID, _UUID + "\n"),
    "student_id empty": _with(f"{_R}student_id", ""),
    "student_id as a number": _with(f"{_R}student_id", 42),
    "student_id with NUL": _with(f"{_R}student_id", "a\x00b"),
    "student_id of 129 characters": _with(f"{_R}student_id", "x" * 129),
    "item_id with DEL": _with(f"{_R}item_id", "a\x7fb"),
    "item_id with a C1 control": _with(f"{_R}item_id", "a\x85b"),
    "item_id of 4,000 digits": _literal(f"{_R}item_id", "9" * 4_000),
    "session_id empty": _with(f"{_R}session_id", ""),
    "session_id as a number": _with(f"{_R}session_id", 9),
    "scale null": _with(f"{_R}scale", None),
    "no concepts": _with(f"{_R}concept_ids", []),
    "17 concepts": _with(f"{_R}concept_ids", [f"c{n}" for n in range(17)]),
    "a concept twice": _with(f"{_R}concept_ids", ["a", "b", "a"]),
    "concepts as a string": _with(f"{_R}concept_ids", "fractions.add"),
    "concepts as an object": _with(f"{_R}concept_ids", {"fractions.add": 1}),
    "a concept as a number": _with(f"{_R}concept_ids", ["a", 5]),
    "an empty concept": _with(f"{_R}concept_ids", ["a", ""]),
    "15,000 wrong concepts": _with(f"{_R}concept_ids", [1] * 15_000),
    "correct as a string": _all((f"{_R}score", MISSING), (f"{_R}correct", "true")),
    "correct as a number": _all((f"{_R}score", MISSING), (f"{_R}correct", 1)),
    "score as a string": _with(f"{_R}score", "0.5"),
    "score as a boolean": _with(f"{_R}score", True),
    "score below 0": _with(f"{_R}score", -0.0001),
    "score above 1": _with(f"{_R}score", 1.0001),
    "score NaN": _literal(f"{_R}score", "NaN"),
    "score infinite": _literal(f"{_R}score", "-Infinity"),
    "score 1e999": _literal(f"{_R}score", "1e999"),
    "right with score 0.4": _all((f"{_R}score", 0.4), (f"{_R}correct", True)),
    "wrong with score 0.5": _all((f"{_R}score", 0.5), (f"{_R}correct", False)),
    "neither score nor correct": _with(f"{_R}score", MISSING),
    "score and correct null": _all((f"{_R}score", None), (f"{_R}correct", None)),
    "answered_at without a zone": _with(f"{_R}answered_at", "2026-03-02T09:30:00"),
    "answered_at as a number": _with(f"{_R}answered_at", 1772400000),
    "answered_at as digits": _with(f"{_R}answered_at", "1772400000"),
    "answered_at as a date": _with(f"{_R}answered_at", "2026-03-02"),
    "a day that is not": _with(f"{_R}answered_at", "2026-02-30T09:30:00Z"),
    "the year 10000": _with(f"{_R}answered_at", "10000-01-01T00:00:00Z"),
    "before the year 1": _with(f"{_R}answered_at", "0001-01-01T00:00:00+01:00"),
    "answered in 9999": _with(f"{_R}answered_at", "9999-12-31T23:59:59Z"),
    "answered tomorrow": _at(86_400),
    "answered in an hour": _at(3_600),
    "a time below 0": _with(f"{_R}response_time_ms", -1),
    "a time of 1.5": _with(f"{_R}response_time_ms", 1.5),
    "attempt 0": _with(f"{_R}attempt", 0),
    "hints as a string": _with(f"{_R}hints_used", "0"),
    "2^31 hints": _with(f"{_R}hints_used", 2**31),
    "a key twice, at last wrong": _literal(f"{_R}item_id", '"q", "item_id": 5'),
    "version 0 without its concept": _early(f"{_R}concept_id", MISSING),
    "version 0 with a list": _early(f"{_R}concept_id", ["a"]),
    "version 0 with a score alone": _early(f"{_R}correct", MISSING),
    "version 0 with version 1's data": _with("type", "practice.response.recorded.v0"),
    "version 1 with version 0's data": lambda event, _chance: {
        b"event": json.dumps(early(event) | {"type": event["type"]}).encode()
    },
}
_TOO_LARGE: Final[dict[str, Make]] = {
    "padded": _with("padding", "x" * 66_000),
    "a large field beside": _beside,
    "large and no JSON": _text(b"x" * 70_000),
    "a large token": _with("data.token", "t" * 8_193),
    "a large token in few characters": _with("data.token", "é" * 4_097),
    "a large token and no claims": _all(("data.token", "t" * 9_000), ("data.claims", {})),
    "a large token in version 0": _early("data.token", "t" * 9_000),
}
_UNAUTHENTICATED: Final[dict[str, Make]] = {
    **{f"no {n}": _with(_C + n, MISSING) for n in ("sub", "iss", "aud", "exp", "iat")},
    "no claims": _with("data.claims", MISSING),
    "claims null": _with("data.claims", None),
    "claims as a string": _with("data.claims", "eyJ"),
    "claims as a list": _with("data.claims", []),
    "claims empty": _with("data.claims", {}),
    "sub as a number": _with(f"{_C}sub", 42),
    "sub with a line break": _with(f"{_C}sub", "a\nb"),
    "iss of another": _with(f"{_C}iss", "https://elsewhere.example"),
    "iss empty": _with(f"{_C}iss", ""),
    "aud of another": _with(f"{_C}aud", "somebody"),
    "aud of others": _with(f"{_C}aud", ["somebody", "anybody"]),
    "aud empty": _with(f"{_C}aud", []),
    "aud as a number": _with(f"{_C}aud", 1),
    "exp past": _claim_at("exp", -3_600),
    "exp 0": _with(f"{_C}exp", 0),
    "exp NaN": _literal(f"{_C}exp", "NaN"),
    "exp infinite": _literal(f"{_C}exp", "Infinity"),
    "exp 1e999": _literal(f"{_C}exp", "1e999"),
    "exp as a string": _with(f"{_C}exp", "4102444800"),
    "exp null": _with(f"{_C}exp", None),
    "exp as a boolean": _with(f"{_C}exp", True),
    "nbf in an hour": _claim_at("nbf", 3_600),
    "nbf as a string": _with(f"{_C}nbf", "0"),
    "iat in an hour": _claim_at("iat", 3_600),
    "tenant as a number": _with(f"{_C}tenant_id", 7),
    "tenant empty": _with(f"{_C}tenant_id", ""),
    "tenant as a list": _with(f"{_C}tenant_id", ["school-7"]),
    "tenant with NUL": _with(f"{_C}tenant_id", "a\x00b"),
    "tenant of 129 characters": _with(f"{_C}tenant_id", "t" * 129),
    "tenant of the app's metadata as a number": _all(
        (f"{_C}tenant_id", MISSING), (f"{_C}app_metadata", {"tenant_id": 7})
    ),
    "role as a list": _with(f"{_C}role", ["service_role"]),
    "role as a number": _with(f"{_C}role", 1),
    "token as a number": _with("data.token", 1),
    "version 0, expired": _early(f"{_C}exp", 1),
    "expired, marked as redriven": _forged,
}
_FORBIDDEN: Final[dict[str, Make]] = {
    "another student": _all((f"{_C}sub", "another"), (f"{_C}role", "authenticated")),
    "another student without a role": _all((f"{_C}sub", "another"), (f"{_C}role", MISSING)),
    "another student, role null": _all((f"{_C}sub", "another"), (f"{_C}role", None)),
    "a role in capitals": _with(f"{_C}role", "Service_Role"),
    "a role and a space": _with(f"{_C}role", "service_role "),
    "version 0 of another student": _early(f"{_C}role", "authenticated"),
}

KINDS: Final[dict[str, Kind]] = {
    **{
        f"{group}: {name}": Kind(code, make)
        for group, code, kinds in (
            ("no JSON", "invalid", _NO_JSON),
            ("no object", "invalid", _NO_OBJECT),
            ("no event field", "invalid", _NO_EVENT_FIELD),
            ("envelope", "invalid", _ENVELOPE),
            ("response", "invalid", _RESPONSE),
            ("too large", "too_large", _TOO_LARGE),
            ("claims", "unauthenticated", _UNAUTHENTICATED),
            ("forbidden", "forbidden", _FORBIDDEN),
        )
        for name, make in kinds.items()
    },
    **{name: Kind(code, _fuzzed(fuzz)) for name, (code, fuzz) in FUZZED.items()},
}
"""Each kind that is bad by itself, by name."""


def _instead(name: str, other: Callable[[Any], Any]) -> Make:
    def make(event: Event, _chance: random.Random) -> Fields:
        response = event["data"]["response"]
        path = _R + name
        return {b"event": json.dumps(changed(event, path, other(response.get(name)))).encode()}

    return make


CONFLICTS: Final[dict[str, Kind]] = {
    f"conflict: another {name}": Kind("conflict", _instead(name, other))
    for name, other in (
        ("score", lambda score: 1.0 - score),
        ("item_id", lambda item: item + "'"),
        ("concept_ids", lambda concepts: [*concepts, "one more"]),
        ("session_id", lambda session: f"not {session}"),
        ("scale", lambda scale: scale + "'"),
        ("answered_at", lambda at: at.replace("2026-", "2025-")),
    )
}
"""Each kind that is bad since it contradicts a good entry that came before, by name."""
