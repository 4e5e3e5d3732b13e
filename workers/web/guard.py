"""Who asks: the bearer token of a request or socket, always verified, whatever JWT_MODE is."""

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
"""So long a request waits for keys or for Redis, seconds."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.~+/=-]+")
"""The characters of a bearer token (RFC 6750, section 2.1)."""


class BearerVerifier(Protocol):
    """Verifies a token, and says whose it is."""

    async def identify(self, token: str) -> Identity:
        """The identity; raises `Refused` with ``unauthenticated``, `Unavailable` without keys."""
        ...


class Caller(NamedTuple):
    """One who asks, with a verified token."""

    identity: Identity
    token: str
    claims: dict[str, Any]

    @property
    def expires_at_s(self) -> float:
        """When the token expires, seconds since 1970."""
        return float(self.claims["exp"])


class Guard:
    """Lets through who has a valid token, and does not ask too often.

    Args:
        verifier: verifies tokens; None where no key is configured.
        rates: counts requests of a subject.
        max_token_bytes: largest token that is looked at, bytes.
    """

    def __init__(
        self, verifier: BearerVerifier | None, rates: Rates, *, max_token_bytes: int
    ) -> None:
        self._verifier = verifier
        self._rates = rates
        self._max_token_bytes = max_token_bytes

    async def of_request(self, connection: HTTPConnection) -> Caller:
        """Who sends a request with the header ``Authorization: Bearer TOKEN``.

        Raises:
            HTTPException: 401, 413, 429 or 503, with a message for the client.
        """
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = ""
        return await self.of_token(token.strip(), "send the header Authorization: Bearer TOKEN")

    async def of_token(self, token: str, how: str) -> Caller:
        """Whose token it is.

        Args:
            token: empty if there is none.
            how: how it is to be sent, for the client that sent none.

        Raises:
            HTTPException: as `of_request`.
        """
        if self._verifier is None:
            raise HTTPException(
                503,
                "No key is configured, so nobody can be let in: the operator has to set "
                "JWT_JWKS_URL or JWT_SECRET.",
            )
        if not token:
            raise _unauthenticated(f"There is no token: {how}.")
        if len(token) > self._max_token_bytes:
            raise HTTPException(
                413,
                f"The token is longer than MAX_TOKEN_BYTES={self._max_token_bytes}: ask the "
                "issuer for one without what it does not need.",
            )
        if not _TOKEN.fullmatch(token):
            raise _unauthenticated("The token is no JWT: send it as the issuer gave it.")
        try:
            async with asyncio.timeout(_PATIENCE_S):
                identity = await self._verifier.identify(token)
        except Refused as refusal:
            reason = f"The token is refused: {refusal.reason}"
            raise _unauthenticated(reason if reason.endswith(".") else reason + ".") from None
        except (Unavailable, TimeoutError):
            raise HTTPException(
                503,
                "The keys to verify tokens with can't be had at the moment: come again.",
                {"Retry-After": str(_AGAIN_S)},
            ) from None
        after_s = await self._rates.of_subject(identity.tenant_id, identity.subject)
        if after_s is not None:
            raise too_many("subject", after_s)
        return Caller(identity, token, _claims(token))


def _claims(token: str) -> dict[str, Any]:
    """The claims of a token that was verified a moment ago."""
    claims: dict[str, Any] = jwt.decode(
        token, options={"verify_signature": False, "verify_exp": False, "verify_aud": False}
    )
    return claims


def _unauthenticated(message: str) -> HTTPException:
    return HTTPException(401, message, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
