"""Whether claims are those of a token, as JSON understands sameness."""

from typing import Any

from contracts.claims import Claims
from workers.identity.claims import held
from workers.identity.verifier import Verified


def differing_claim(claims: Claims, verified: Verified) -> str | None:
    """A claim that the claims name and that is not the token's; None if there is none.

    Claims that they leave out differ from nothing: they are the token's.
    """
    said, values = held(claims), verified.values
    for name in claims.model_fields_set:
        if name not in values or not same(said[name], values[name]):
            return name
    return None


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, and neither is true."""
    kind = type(one)
    if kind is str or one is None or kind is bool:
        return kind is type(other) and bool(one == other)
    if kind is int or kind is float:
        return type(other) in (int, float) and bool(one == other)
    if kind is list:
        return (
            type(other) is list
            and len(one) == len(other)
            and all(same(a, b) for a, b in zip(one, other, strict=True))
        )
    return (
        kind is dict
        and type(other) is dict
        and len(one) == len(other)
        and all(name in other and same(value, other[name]) for name, value in one.items())
    )
