"""Read a JWT in compact form, strictly, before any part of it is trusted."""

import base64
import json
import math
import re
from typing import Any, Final, NamedTuple, NoReturn

from pydantic import ValidationError

from contracts.claims import Claims

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
_LONGEST_KEY_ID: Final = 256
_DEEPEST: Final = 16
_UNDERSTOOD_TYPES: Final = frozenset(("jwt", "at+jwt", "application/jwt", "application/at+jwt"))
_NOT_UNDERSTOOD: Final = {
    "crit": "demands what is not understood here",
    "b64": "is not supported",
    "zip": "is not supported: tokens are not compressed",
    "enc": "is not supported: tokens are signed, not encrypted",
    "cty": "is not supported: tokens hold claims, no other token",
}
_LAST_MOMENT_S: Final = 253_402_300_799
"""The end of the year 9999, seconds since 1970."""


class MalformedError(ValueError):
    """A text is not a readable token; the message does not quote the token."""


class Token(NamedTuple):
    """Content of a token, not verified."""

    algorithm: str
    key_id: str | None
    claims: Claims
    values: dict[str, Any]
    """The claims as JSON."""


def read_token(token: str) -> Token:
    """Read a token; use only ``alg`` and ``kid`` of its header, never a key or an address.

    Raises:
        MalformedError: the message names the fault.
    """
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        raise MalformedError("is no JWT of three parts in base64url")
    header = _json(parts[1], "header")
    for name, problem in _NOT_UNDERSTOOD.items():
        if name in header:
            raise MalformedError(f"has a header with {name!r}, which {problem}")
    kind = header.get("typ")
    if kind is not None and not (isinstance(kind, str) and kind.lower() in _UNDERSTOOD_TYPES):
        raise MalformedError("has a header whose 'typ' is not JWT")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        raise MalformedError("has a header without 'alg'")
    if key_id is not None and not (isinstance(key_id, str) and len(key_id) <= _LONGEST_KEY_ID):
        raise MalformedError("has a header whose 'kid' is no string of at most 256 characters")
    values = _json(parts[2], "payload")
    return Token(algorithm, key_id, _claims(values, parts[2]), values)


def _claims(values: dict[str, Any], payload: str) -> Claims:
    try:
        # From the text, so that pydantic refuses lone surrogates, which no database stores.
        claims = Claims.model_validate_json(_decoded(payload, "payload"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        claim = str(first["loc"][0]) if first["loc"] else "payload"
        problem = "is missing" if first["type"] == "missing" else "is malformed"
        raise MalformedError(f"has a claim {claim[:40]!r} that {problem}") from None
    for name in ("exp", "iat", "nbf"):
        moment = values.get(name, 0)
        # `null` is not a time, and Python's True would be one second after 1970.
        if type(moment) not in (int, float) or not 0 <= moment <= _LAST_MOMENT_S:
            raise MalformedError(f"has a claim {name!r} that is no moment in seconds since 1970")
    return claims


def _json(segment: str, name: str) -> dict[str, Any]:
    """Read a part of a token, which must be a plain JSON object."""
    data = _decoded(segment, name)
    if _depth(data) > _DEEPEST:
        raise MalformedError(f"has a {name} that is nested too deeply")
    try:
        document = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_constant=_no_number,
            parse_float=_finite,
        )
    except MalformedError as error:
        raise MalformedError(f"has a {name} {error}") from None
    except (ValueError, RecursionError):
        raise MalformedError(f"has a {name} that is no JSON") from None
    if not isinstance(document, dict):
        raise MalformedError(f"has a {name} that is no JSON object")
    return document


def _decoded(segment: str, name: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise MalformedError(f"has a {name} that is no base64url") from None


def _depth(data: bytes) -> int:
    """Bound the depth of JSON: the number of brackets if they are few, else the real depth."""
    brackets = data.count(b"[") + data.count(b"{")
    if brackets <= _DEEPEST:
        return brackets
    deepest = depth = 0
    for mark in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', data):
        if mark[0] in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif mark[0] in (b"]", b"}"):
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("with a name that stands in it twice")
    return members


def _no_number(_: str) -> NoReturn:
    raise MalformedError("with a number that JSON has not")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise MalformedError("with a number that is too large")
    return number
