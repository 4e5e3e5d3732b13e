"""Keys of a key set that may verify, and keys that must not."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa, x25519

from tests.support.issuer import SigningKey
from tests.support.token_checks import ES256, RS256
from workers.common.jwt_algorithms import KEY_ALGORITHMS
from workers.identity.keys import KeySet, usable_key, usable_keys

ALGORITHMS = ("EdDSA", "ES256", "RS256")


def without_alg(key: SigningKey) -> dict[str, Any]:
    return {name: value for name, value in key.jwk().items() if name != "alg"}


def rsa_jwk(bits: int) -> dict[str, Any]:
    public = rsa.generate_private_key(public_exponent=65_537, key_size=bits).public_key()
    return {**jwt.get_algorithm_by_name("RS256").to_jwk(public, as_dict=True), "kid": "short"}


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        (SigningKey("a", "RS256").jwk(), {"RS256"}),
        (
            without_alg(RS256),
            {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
        ),
        (SigningKey("a", "PS256").jwk(), {"PS256"}),
        (without_alg(ES256), {"ES256"}),
        (SigningKey("a", "ES384").jwk(), {"ES384"}),
        (SigningKey("a", "ES512").jwk(), {"ES512"}),
        (SigningKey("a", "EdDSA").jwk(), {"EdDSA"}),
        (SigningKey("a", "EdDSA", alg="Ed25519").jwk(), {"EdDSA"}),
        (SigningKey("a", key_ops=["verify"]).jwk(), {"ES256"}),
        (SigningKey(None).jwk(), {"ES256"}),
    ],
)
def test_given_a_public_key_then_its_type_and_its_alg_say_what_it_verifies(
    jwk: dict[str, Any], algorithms: set[str]
) -> None:
    key = usable_key(jwk, KEY_ALGORITHMS)
    assert key is not None
    assert set(key.by_algorithm) == algorithms
    again = usable_key(dict(key.jwk), KEY_ALGORITHMS)
    assert again is not None
    assert again.identity == key.identity


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": 43 * "A", "kid": "s", "alg": "HS256"},
        SigningKey("a", use="enc").jwk(),
        SigningKey("a", use=1).jwk(),
        SigningKey("a", key_ops=["sign"]).jwk(),
        SigningKey("a", key_ops="verify").jwk(),
        SigningKey("a", alg="RS256").jwk(),
        SigningKey("a", alg="none").jwk(),
        SigningKey("a", alg=1).jwk(),
        SigningKey("a", kid=7).jwk(),
        SigningKey("a", kid="").jwk(),
        SigningKey("a", kid=257 * "x").jwk(),
        SigningKey("a", kty="RSA").jwk(),
        SigningKey("a", x="!").jwk(),
        SigningKey("a", x=None).jwk(),
        SigningKey("a", d="AAAA").jwk(),
        SigningKey("a", crv="secp256k1").jwk(),
        {"kty": "EC"},
        {},
        rsa_jwk(1024),
        {
            "kty": "OKP",
            "crv": "X25519",
            "x": jwt.utils.base64url_encode(
                x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
            ).decode(),
        },
    ],
)
def test_given_what_is_no_public_key_for_verifying_then_it_is_left_out(jwk: dict[str, Any]) -> None:
    assert usable_key(jwk, KEY_ALGORITHMS) is None
    assert [key.key_id for key in usable_keys([jwk, None, "x", ES256.jwk()], ALGORITHMS)] == ["es"]


def test_given_an_algorithm_that_is_not_allowed_then_its_keys_are_left_out() -> None:
    assert usable_key(RS256.jwk(), ("ES256",)) is None


def test_given_a_key_set_then_each_key_is_found_by_its_id_once() -> None:
    keys = usable_keys([ES256.jwk(), ES256.jwk(), RS256.jwk(), SigningKey("es").jwk()], ALGORITHMS)
    key_set = KeySet(keys, 5)
    assert [len(key_set.named(key_id)) for key_id in ("es", "rs", "zz", None)] == [2, 1, 0, 3]
    assert key_set.get(keys[0].identity) is keys[0]
    assert (key_set.newer_than(4), key_set.newer_than(5), KeySet().newer_than(0)) == (
        True,
        False,
        False,
    )


def test_given_a_retired_key_then_it_serves_what_is_older() -> None:
    (key,) = usable_keys([ES256.jwk()], ALGORITHMS)
    retired = key.retired(10)
    assert (key.serves(10), retired.serves(9), retired.serves(10)) == (True, True, False)
    assert retired.retired(10) is retired
    assert retired.retired(None) == key
