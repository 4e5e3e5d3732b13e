"""Compare claims with those of a token, as JSON values."""

from typing import Any

from contracts.claims import Claims
from workers.identity.claims import all_claims
from workers.identity.verifier import Verified


def differing_claim(claims: Claims, verified: Verified) -> str | None:
    """Find a claim that differs from the token's; None if there is none.

    Claims that are left out do not differ.
    """
    given, values = all_claims(claims), verified.values
    for name in claims.model_fields_set:
        if name not in values or not same(given[name], values[name]):
            return name
    return None


def same(value: Any, other: Any) -> bool:
    """Return True if two values are the same JSON: 1 equals 1.0, and neither equals true."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return kind is type(other) and bool(value == other)
    if kind is int or kind is float:
        return type(other) in (int, float) and bool(value == other)
    if kind is list:
        return (
            type(other) is list
            and len(value) == len(other)
            and all(same(a, b) for a, b in zip(value, other, strict=True))
        )
    return (
        kind is dict
        and type(other) is dict
        and len(value) == len(other)
        and all(name in other and same(member, other[name]) for name, member in value.items())
    )
