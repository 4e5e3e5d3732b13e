"""Callers of the HTTP side without an issuer, and the HTTP side without servers."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import jwt
from redis.asyncio import Redis
from starlette.applications import Starlette

from contracts.rejections import RejectionCode
from workers.common.errors import Refused
from workers.identity.claims import Identity
from workers.streams.embedded_redis import EmbeddedRedis
from workers.web.guard import Guard
from workers.web.limits.rates import Rates

SECRET: Final = "a secret that only this double ever sees"
RATE: Final = "1000/minute"


def token(
    subject: str = "student-42",
    tenant_id: str = "school-7",
    role: str = "authenticated",
    **claims: Any,
) -> str:
    now = int(time.time())
    content = {
        "sub": subject,
        "iss": "https://issuer.example",
        "aud": "authenticated",
        "role": role,
        "iat": now,
        "exp": now + 3_600,
        "tenant_id": tenant_id,
    }
    return jwt.encode(content | claims, SECRET, algorithm="HS256")


def operator(tenant_id: str = "school-7") -> str:
    return token("operator-1", tenant_id, "service_role")


def bearer(of: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {of}"}


class Verifier:
    """Accept tokens signed with `SECRET`; fail on request."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked = 0

    async def identify(self, token: str) -> Identity:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        try:
            claims = jwt.decode(token, SECRET, ["HS256"], options={"verify_aud": False})
        except jwt.PyJWTError:
            raise Refused(
                RejectionCode.UNAUTHENTICATED, "token is not signed with JWT_SECRET", "token"
            ) from None
        return Identity(claims["tenant_id"], claims["sub"], claims["role"])


@asynccontextmanager
async def store() -> AsyncIterator[Redis]:
    """Yield an embedded Redis."""
    embedded = EmbeddedRedis()
    try:
        yield embedded.client()
    finally:
        await embedded.close()


def guard(client: Redis, verifier: Verifier | None = None, rate: str = RATE) -> Guard:
    rates = Rates(client, subject=rate, address=RATE)
    return Guard(verifier or Verifier(), rates, max_token_bytes=8_192)


def client_of(app: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://engine")


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the error of an answer, after a check of its shape."""
    (name,) = answer.json()
    error: dict[str, Any] = answer.json()[name]
    assert (name, set(error)) == ("error", {"code", "status", "message", "request_id"})
    assert error["status"] == answer.status_code
    assert error["message"].endswith(".")
    assert error["request_id"] == answer.headers["x-request-id"]
    return error
