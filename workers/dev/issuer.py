"""The development issuer: signs tokens, and publishes its key as a key set."""

import base64
import hashlib
import json
import time
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from jwt.algorithms import ECAlgorithm

ISSUER: Final = "mastery-dev"
"""`iss` of the tokens, the same on every port."""
AUDIENCE: Final = "authenticated"
TENANT_CLAIM: Final = "tenant_id"
ALGORITHM: Final = "ES256"
STUDENT_ROLE: Final = "authenticated"

LIFETIME_S: Final = 12 * 3600
"""Validity of a token, seconds."""


class Issuer:
    """Signs with one P-256 key.

    Args:
        key: the private key.
    """

    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        self._key = key
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self._jwk = {name: public[name] for name in ("crv", "kty", "x", "y")}
        # RFC 7638: the members in the order of their names, without spaces.
        text = json.dumps(self._jwk, separators=(",", ":"), sort_keys=True)
        digest = hashlib.sha256(text.encode()).digest()
        self._key_id = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def key_set(self) -> dict[str, Any]:
        """Return the public key as a JWK set (RFC 7517, section 5)."""
        return {"keys": [{**self._jwk, "kid": self._key_id, "alg": ALGORITHM, "use": "sig"}]}

    def claims(
        self, subject: str, tenant_id: str | None = None, role: str = STUDENT_ROLE
    ) -> dict[str, Any]:
        """Make the claims of a token that is valid from now on.

        Args:
            subject: the student, or the id of a program with a delegated role.
            tenant_id: the tenant; None for the default tenant.
            role: such as ``authenticated`` or ``service_role``.
        """
        now_s = int(time.time())
        claims: dict[str, Any] = {
            "sub": subject,
            "iss": ISSUER,
            "aud": AUDIENCE,
            "role": role,
            "iat": now_s,
            "exp": now_s + LIFETIME_S,
        }
        return claims if tenant_id is None else {**claims, TENANT_CLAIM: tenant_id}

    def sign(self, claims: dict[str, Any]) -> str:
        """Sign claims as a JWT."""
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._key_id})
