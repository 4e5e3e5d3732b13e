"""Conditions under which a token counts."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.issuer import SigningKey, base64url, token_claims
from tests.support.token_checks import (
    EDDSA,
    ES256,
    NOW_MS,
    RS256,
    SECRET,
    STUDENT,
    refusal,
    verifier,
)
from workers.common.errors import Refused
from workers.identity.keys import KeySet

PAYLOAD = json.dumps(token_claims()).encode()


def with_header(header: dict[str, Any]) -> str:
    return ES256.sign_raw(PAYLOAD, json.dumps(header).encode())


@pytest.mark.parametrize("key", [ES256, EDDSA, RS256], ids=lambda key: key.algorithm)
def test_given_a_token_of_a_known_key_when_verified_then_it_says_who_it_is(
    key: SigningKey,
) -> None:
    claims = token_claims()
    verified = verifier().verify(key.sign(claims), NOW_MS, NOW_MS)
    assert (verified.identity, verified.values) == (STUDENT, claims)


def test_given_a_token_of_the_secret_then_it_needs_no_key_set() -> None:
    token = jwt.encode(token_claims(), SECRET, "HS256", headers={"kid": "whatever"})
    assert verifier(KeySet()).verify(token, NOW_MS, NOW_MS).identity == STUDENT


def test_given_several_audiences_when_ours_is_among_them_then_it_counts() -> None:
    token = ES256.sign(token_claims(aud=["other", "authenticated"]))
    assert verifier().verify(token, NOW_MS, NOW_MS).identity == STUDENT


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"alg": "none", "kid": "es"}, "algorithm"),
        ({"alg": "None", "kid": "es"}, "algorithm"),
        ({"alg": "ES384", "kid": "es"}, "algorithm"),
        ({"alg": "HS512"}, "algorithm"),
        ({"alg": "", "kid": "es"}, "algorithm"),
        ({"kid": "es"}, "'alg'"),
        ({"alg": ["ES256"], "kid": "es"}, "'alg'"),
        ({"alg": "RS256", "kid": "es"}, "'kid' names"),
        ({"alg": "EdDSA", "kid": "es"}, "'kid' names"),
        ({"alg": "HS256", "kid": "es"}, "JWT_SECRET"),
        ({"alg": "ES256", "kid": 7}, "'kid'"),
        ({"alg": "ES256", "kid": "x" * 257}, "'kid'"),
        ({"alg": "ES256", "kid": "../../etc/passwd"}, "not in the issuer's key set"),
        ({"alg": "ES256", "kid": "x' or '1'='1"}, "not in the issuer's key set"),
        ({"alg": "ES256", "kid": "ES"}, "not in the issuer's key set"),
        ({"alg": "ES256", "kid": ""}, "not in the issuer's key set"),
        ({"alg": "ES256", "kid": "es", "crit": ["exp"]}, "'crit'"),
        ({"alg": "ES256", "kid": "es", "crit": []}, "'crit'"),
        ({"alg": "ES256", "kid": "es", "b64": True}, "'b64'"),
        ({"alg": "ES256", "kid": "es", "b64": False, "crit": ["b64"]}, "'crit'"),
        ({"alg": "ES256", "kid": "es", "zip": "DEF"}, "'zip'"),
        ({"alg": "ES256", "kid": "es", "enc": "A256GCM"}, "'enc'"),
        ({"alg": "ES256", "kid": "es", "cty": "JWT"}, "'cty'"),
        ({"alg": "ES256", "kid": "es", "typ": "logout+jwt"}, "'typ'"),
        ({"alg": "ES256", "kid": "es", "typ": 1}, "'typ'"),
    ],
)
def test_given_a_header_that_is_not_understood_then_it_is_refused(
    header: dict[str, Any], says: str
) -> None:
    assert says in str(refusal(with_header(header)))


@pytest.mark.parametrize("name", ["jku", "x5u", "x5c", "jwk", "x5t"])
def test_given_a_header_with_a_key_or_its_address_then_it_is_ignored(name: str) -> None:
    forger = SigningKey("es")
    for value in (forger.jwk(), "https://evil.example/jwks.json"):
        assert "'kid' names" in str(refusal(forger.sign(token_claims(), **{name: value})))
        good = ES256.sign(token_claims(), **{name: value})
        assert verifier().verify(good, NOW_MS, NOW_MS).identity == STUDENT


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+JWT"])
def test_given_a_type_that_is_a_jwt_then_it_counts(typ: str) -> None:
    token = with_header({"alg": "ES256", "kid": "es", "typ": typ})
    assert verifier().verify(token, NOW_MS, NOW_MS).identity == STUDENT


def test_given_public_keys_as_secrets_of_hs256_then_they_are_refused() -> None:
    public = RS256.private.public_key()
    texts = [
        public.public_bytes(Encoding.PEM, form)
        for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1)
    ]
    texts.append(json.dumps(RS256.jwk()).encode())
    hs256 = jwt.get_algorithm_by_name("HS256")
    for text in texts:
        header = base64url(json.dumps({"alg": "HS256", "kid": "rs"}).encode())
        signed = f"{header}.{base64url(PAYLOAD)}"
        token = f"{signed}.{base64url(hs256.sign(signed.encode(), text))}"
        assert "JWT_SECRET" in str(refusal(token))
        only_keys = verifier(secret=None, algorithms=("ES256", "RS256"))
        assert "algorithm" in str(refusal(token, only_keys))


def test_given_no_secret_when_hs256_comes_then_nothing_verifies_it() -> None:
    token = jwt.encode(token_claims(), SECRET, "HS256")
    assert "JWT_SECRET" in str(refusal(token, verifier(secret=None)))


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "sub", "iat"])
def test_given_a_claim_missing_then_it_is_named(claim: str) -> None:
    claims = token_claims()
    del claims[claim]
    assert f"'{claim}' that is missing" in str(refusal(ES256.sign_raw(json.dumps(claims).encode())))


@pytest.mark.parametrize(
    ("claim", "text", "says"),
    [
        *(
            (name, text, f"'{name}'")
            for name in ("exp", "iat", "nbf")
            for text in (
                "true",
                '"1795000000"',
                "-1",
                "253402300800",
                "1e300",
                "[1]",
                "1" + 400 * "0",
            )
        ),
        ("exp", "NaN", "a number that JSON has not"),
        ("exp", "Infinity", "a number that JSON has not"),
        ("exp", "1e999", "too large"),
        ("exp", "1" + 5000 * "0", "no JSON"),
        ("exp", "null", "'exp'"),
        ("nbf", "null", "'nbf'"),
        ("sub", '""', "'sub'"),
        ("sub", "42", "'sub'"),
        ("sub", '"a\\u0000b"', "'sub'"),
        ("sub", '"\\ud800"', "payload"),
        ("sub", json.dumps(129 * "x"), "'sub'"),
        ("role", "1", "'role'"),
        ("iss", "[]", "'iss'"),
        ("aud", "{}", "'aud'"),
        ("aud", "[]", "'aud'"),
        ("tenant_id", "7", "tenant_id"),
        ("tenant_id", '""', "tenant_id"),
        ("tenant_id", '"\\ud800"', "payload"),
        ("iss", '"https://issuer.example/auth/v1/"', "iss"),
        ("iss", '"https://issuer.example/auth"', "iss"),
        ("aud", '"authenticated2"', "aud"),
        ("aud", '["anon"]', "aud"),
    ],
)
def test_given_a_claim_that_is_wrong_then_it_is_refused(claim: str, text: str, says: str) -> None:
    kept = {name: value for name, value in token_claims().items() if name != claim}
    payload = f"{json.dumps(kept)[:-1]}, {json.dumps(claim)}: {text}}}"
    assert says in str(refusal(ES256.sign_raw(payload.encode())))


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (PAYLOAD[:-1] + b', "sub": "student-43"}', "twice"),
        (PAYLOAD[:-1] + b', "app_metadata": {"tenant_id": "a", "tenant_id": "b"}}', "twice"),
        (b"[" + PAYLOAD + b"]", "no JSON object"),
        (b"null", "no JSON object"),
        (b'"' + ES256.sign(token_claims()).encode() + b'"', "no JSON object"),
        (PAYLOAD + b"}", "no JSON"),
        (PAYLOAD[:-1] + b', "x": "\xff"}', "no JSON"),
        (PAYLOAD[:-1] + b', "x": ' + 3000 * b"[" + 3000 * b"]" + b"}", "nested"),
        (PAYLOAD[:-1] + b', "x": ' + 17 * b'{"a":' + b"1" + 17 * b"}" + b"}", "nested"),
        (b"", "three parts"),
    ],
)
def test_given_a_payload_without_distinct_claims_then_it_is_refused(
    payload: bytes, says: str
) -> None:
    assert says in str(refusal(ES256.sign_raw(payload)))


def test_given_many_brackets_but_little_depth_then_it_counts() -> None:
    claims = token_claims(groups=[["a"] for _ in range(40)], note='[[[["{{{{')
    assert verifier().verify(ES256.sign(claims), NOW_MS, NOW_MS).identity == STUDENT


def test_given_a_header_with_a_name_twice_then_it_is_refused() -> None:
    header = b'{"alg": "ES256", "kid": "zz", "kid": "es"}'
    assert "header with a name" in str(refusal(ES256.sign_raw(PAYLOAD, header)))


def test_given_another_form_than_the_compact_one_then_it_is_refused() -> None:
    token = ES256.sign(token_claims())
    head, payload, signature = token.split(".")
    for text in (
        "",
        ".",
        "..",
        f"{head}.{payload}.",
        f"{head}.{payload}",
        f"{token}.x.y",
        f" {token}",
        f"{token}\n",
        f"{token}=",
        f"{head}.{payload}.{signature}==",
        token.replace(".", "\uff0e"),
        token + "\ud800",
        f"Bearer {token}",
        json.dumps({"protected": head, "payload": payload, "signature": signature}),
        f"{base64.b64encode(b'{}').decode()}.{payload}.{signature}",
        f"e.{payload}.{signature}",
    ):
        assert refusal(text)


@given(st.integers(0, 2_000), st.integers(1, 255))
@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_given_any_byte_changed_then_the_token_is_refused(at: int, change: int) -> None:
    token = ES256.sign(token_claims())
    place = at % len(token)
    other = token[:place] + chr(ord(token[place]) ^ change) + token[place + 1 :]
    checked = verifier()
    checked.verify(token, NOW_MS, NOW_MS)
    with pytest.raises(Refused):
        checked.verify(other, NOW_MS, NOW_MS)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
@settings(max_examples=examples(300), deadline=None)
def test_given_any_text_then_it_is_refused_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(Refused):
        verifier().verify(text, NOW_MS, NOW_MS)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    st.sampled_from([*token_claims(), "nbf", "app_metadata"]),
)
@settings(max_examples=examples(300), deadline=None)
def test_given_any_value_of_a_claim_then_it_counts_or_is_refused(value: Any, claim: str) -> None:
    payload = json.dumps(token_claims(**{claim: value}), ensure_ascii=True).encode()
    try:
        verified = verifier().verify(ES256.sign_raw(payload), NOW_MS, NOW_MS)
    except Refused:
        return
    verified.identity.tenant_id.encode()
    verified.identity.subject.encode()
