"""Identify callers by their bearer token, always verified, whatever JWT_MODE is."""

import asyncio
import re
from typing import Any, Final, NamedTuple, Protocol

import jwt
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from workers.common.errors import Refused, Unavailable
from workers.identity.claims import Identity
from workers.web.limits.rates import Rates, too_many

_AGAIN_S: Final = 5
_PATIENCE_S: Final = 10.0
"""Longest time a request waits for keys or for Redis, seconds."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.~+/=-]+")
"""The characters of a bearer token (RFC 6750, section 2.1)."""


class BearerVerifier(Protocol):
    """Verifies a token and returns its identity."""

    async def identify(self, token: str) -> Identity:
        """Return the identity of a token.

        Raises:
            Refused: with ``unauthenticated``.
            Unavailable: there are no keys.
        """
        ...


class Caller(NamedTuple):
    """A caller with a verified token."""

    identity: Identity
    token: str
    claims: dict[str, Any]

    @property
    def expires_at_s(self) -> float:
        """Expiry of the token, seconds since 1970."""
        return float(self.claims["exp"])


class Guard:
    """Admits callers with a valid token who stay below the rate limit.

    Args:
        verifier: verifies tokens; None if no key is configured.
        rates: counts requests of a subject.
        max_token_bytes: largest token, bytes.
    """

    def __init__(
        self, verifier: BearerVerifier | None, rates: Rates, *, max_token_bytes: int
    ) -> None:
        self._verifier = verifier
        self._rates = rates
        self._max_token_bytes = max_token_bytes

    async def of_request(self, connection: HTTPConnection) -> Caller:
        """Return the caller of a request with the header ``Authorization: Bearer TOKEN``.

        Raises:
            HTTPException: 401, 413, 429 or 503, with a message for the client.
        """
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = ""
        return await self.of_token(token.strip(), "send the header Authorization: Bearer TOKEN")

    async def of_token(self, token: str, how: str) -> Caller:
        """Return the caller whose token it is.

        Args:
            token: empty if there is none.
            how: how to send it, for a client that sent none.

        Raises:
            HTTPException: as `of_request`.
        """
        if self._verifier is None:
            raise HTTPException(
                503,
                "No key to verify tokens with is configured: the operator has to set "
                "JWT_JWKS_URL or JWT_SECRET.",
            )
        if not token:
            raise _unauthenticated(f"The token is missing: {how}.")
        if len(token) > self._max_token_bytes:
            raise HTTPException(
                413,
                f"The token is longer than MAX_TOKEN_BYTES={self._max_token_bytes}: ask the "
                "issuer for one with fewer claims.",
            )
        if not _TOKEN.fullmatch(token):
            raise _unauthenticated("The token is not a JWT: send it as the issuer gave it.")
        try:
            async with asyncio.timeout(_PATIENCE_S):
                identity = await self._verifier.identify(token)
        except Refused as refusal:
            reason = f"The token is refused: {refusal.reason}"
            raise _unauthenticated(reason if reason.endswith(".") else reason + ".") from None
        except (Unavailable, TimeoutError):
            raise HTTPException(
                503,
                "The keys to verify tokens with are unavailable at the moment: try again later.",
                {"Retry-After": str(_AGAIN_S)},
            ) from None
        after_s = await self._rates.of_subject(identity.tenant_id, identity.subject)
        if after_s is not None:
            raise too_many("subject", after_s)
        return Caller(identity, token, _claims(token))


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of a token that is verified already."""
    claims: dict[str, Any] = jwt.decode(
        token, options={"verify_signature": False, "verify_exp": False, "verify_aud": False}
    )
    return claims


def _unauthenticated(message: str) -> HTTPException:
    return HTTPException(401, message, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
