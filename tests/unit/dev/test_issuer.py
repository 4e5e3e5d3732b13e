"""Tokens of the development issuer are verified with its key set alone."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from workers.common.jwt_algorithms import DEFAULT_KEY_ALGORITHMS
from workers.dev.issuer import AUDIENCE, ISSUER, LIFETIME_S, Issuer
from workers.identity.keys import usable_keys


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer(generate_private_key(SECP256R1()))


def test_given_a_token_then_its_key_is_the_one_that_a_worker_takes(issuer: Issuer) -> None:
    token = issuer.sign(issuer.claims("ada", "school-7", "service_role"))

    (key,) = usable_keys(issuer.key_set()["keys"], DEFAULT_KEY_ALGORITHMS)
    assert jwt.get_unverified_header(token)["kid"] == key.key_id
    claims = jwt.decode(
        token, key.by_algorithm["ES256"], ["ES256"], issuer=ISSUER, audience=AUDIENCE
    )
    assert (claims["sub"], claims["tenant_id"], claims["role"]) == (
        "ada", "school-7", "service_role",
    )  # fmt: skip
    assert claims["exp"] - claims["iat"] == LIFETIME_S


def test_given_no_tenant_then_the_claims_name_none(issuer: Issuer) -> None:
    assert "tenant_id" not in issuer.claims("ada")


def test_given_the_key_set_then_it_holds_no_private_part(issuer: Issuer) -> None:
    (jwk,) = issuer.key_set()["keys"]
    assert jwk.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
