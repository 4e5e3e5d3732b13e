"""Keys that verify tokens, as immutable snapshots of an issuer's key set."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

Jwk = Mapping[str, Any]
"""A JSON Web Key (RFC 7517) as JSON."""

_RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_SAME: Final = {"Ed25519": "EdDSA", "Ed448": "EdDSA"}
"""Names of RFC 9864 for `EdDSA` in the header of a token."""
_SHORTEST_RSA: Final = 2048
_LONGEST_RSA: Final = 8192
"""A longer key makes each forged token expensive."""
_LONGEST_ID: Final = 256
_PUBLIC: Final = ("kty", "kid", "alg", "use", "key_ops", "crv", "x", "y", "n", "e")
_MATERIAL: Final = ("kty", "crv", "x", "y", "n", "e")


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of the issuer.

    Args:
        identity: id and material, unique to this key.
        key_id: the `kid`; None if the set gives none.
        by_algorithm: PyJWT's key for each algorithm that it may be used with.
        jwk: its public members.
        retired_ms: start of the first fetch whose set lacked it, by Redis's clock, milliseconds
            since 1970; None while it is in the set.
    """

    identity: str
    key_id: str | None
    by_algorithm: Mapping[str, jwt.PyJWK] = field(repr=False)
    jwk: Jwk = field(repr=False)
    retired_ms: int | None = None

    def serves(self, entered_ms: int) -> bool:
        """Return True if the key may verify an entry of this time, milliseconds since 1970."""
        return self.retired_ms is None or entered_ms < self.retired_ms

    def retired(self, at_ms: int | None) -> Self:
        """Return the same key, retired at a time in milliseconds since 1970; None means in use."""
        return self if at_ms == self.retired_ms else replace(self, retired_ms=at_ms)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The known keys of an issuer.

    Args:
        keys: the keys of the key set, and retired ones that still verify older entries.
        fetched_ms: start of the newest successful fetch, by Redis's clock, milliseconds since
            1970; None before the first.
    """

    keys: tuple[Key, ...] = ()
    fetched_ms: int | None = None
    _by_identity: Mapping[str, Key] = field(init=False, repr=False, compare=False)
    _by_id: Mapping[str | None, tuple[Key, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id: dict[str | None, tuple[Key, ...]] = {}
        for key in self.keys:
            by_id[key.key_id] = (*by_id.get(key.key_id, ()), key)
        object.__setattr__(self, "_by_identity", {key.identity: key for key in self.keys})
        object.__setattr__(self, "_by_id", by_id)

    def get(self, identity: str) -> Key | None:
        """Return the key of this identity, if it is still known."""
        return self._by_identity.get(identity)

    def named(self, key_id: str | None) -> tuple[Key, ...]:
        """Return the keys that a token may mean: those with its `kid`, or all if it has none."""
        return self.keys if key_id is None else self._by_id.get(key_id, ())

    def newer_than(self, moment_ms: int) -> bool:
        """Return True if the set was fetched after a time, milliseconds since 1970."""
        return self.fetched_ms is not None and self.fetched_ms > moment_ms


def usable_keys(jwks: Iterable[Any], allowed: Iterable[str]) -> tuple[Key, ...]:
    """Select the keys of a key set that may verify tokens.

    Args:
        jwks: the members of a JWK set's ``keys``.
        allowed: the algorithms of tokens.
    """
    keys: dict[str, Key] = {}
    for jwk in jwks:
        if isinstance(jwk, dict) and (key := usable_key(jwk, allowed)) is not None:
            keys.setdefault(key.identity, key)
    return tuple(keys.values())


def usable_key(jwk: Jwk, allowed: Iterable[str]) -> Key | None:
    """Read a key that may verify tokens; None for any other.

    Secrets, private keys, keys for other uses, curves outside the standard and RSA keys of less
    than 2048 bits are refused.
    """
    key_id = jwk.get("kid")
    if not (key_id is None or (isinstance(key_id, str) and 0 < len(key_id) <= _LONGEST_ID)):
        return None
    if jwk.get("kty") not in ("RSA", "EC", "OKP") or "d" in jwk or not _verifies(jwk):
        return None
    public = {name: jwk[name] for name in _PUBLIC if name in jwk}
    key_algorithm = jwk.get("alg")
    fitting = {}
    for algorithm in allowed:
        if key_algorithm is not None and algorithm != _SAME.get(key_algorithm, key_algorithm):
            continue
        try:
            candidate = jwt.PyJWK(public, algorithm)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
            continue
        if algorithm in _algorithms_of(candidate.key):
            fitting[algorithm] = candidate
    if not fitting:
        return None
    return Key(_identity(public), key_id, MappingProxyType(fitting), MappingProxyType(public))


def _verifies(jwk: Jwk) -> bool:
    use, operations = jwk.get("use", "sig"), jwk.get("key_ops", ["verify"])
    alg = jwk.get("alg")
    return (
        use == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and (alg is None or isinstance(alg, str))
    )


def _algorithms_of(key: Any) -> tuple[str, ...]:
    match key:
        case RSAPublicKey() if _SHORTEST_RSA <= key.key_size <= _LONGEST_RSA:
            return _RSA_ALGORITHMS
        case EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return (_CURVES[key.curve.name],)
        case Ed25519PublicKey() | Ed448PublicKey():
            return ("EdDSA",)
    return ()


def _identity(public: Jwk) -> str:
    """Join id, algorithm and material of a key, the latter as in RFC 7638."""
    return "\n".join(f"{name}={public.get(name)}" for name in ("kid", "alg", *_MATERIAL))
