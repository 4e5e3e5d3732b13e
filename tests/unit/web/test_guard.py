"""Admission over HTTP, and the answers to refused callers."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from starlette.exceptions import HTTPException
from starlette.requests import Request

from tests.support.http_callers import RATE, Verifier, bearer, guard, store, token
from workers.common.errors import RedisUnavailable
from workers.identity.claims import Identity
from workers.web import guard as module
from workers.web.guard import Guard
from workers.web.limits.rates import Rates


def _request(headers: dict[str, str]) -> Request:
    raw = [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw})


async def _refused(of: Guard, headers: dict[str, str]) -> HTTPException:
    with pytest.raises(HTTPException) as caught:
        await of.of_request(_request(headers))
    return caught.value


async def test_given_a_valid_token_when_asked_then_it_says_who_and_until_when() -> None:
    async with store() as redis:
        mine = token(exp=4_102_444_800)
        caller = await guard(redis).of_request(_request({"Authorization": f"bEaReR  {mine}"}))

    assert caller.identity == Identity("school-7", "student-42", "authenticated")
    assert caller.expires_at_s == 4_102_444_800
    assert caller.token == mine


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({}, 401, "send the header Authorization"),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, 401, "send the header"),
        ({"Authorization": "Bearer"}, 401, "send the header"),
        ({"Authorization": "Bearer a b"}, 401, "not a JWT"),
        ({"Authorization": "Bearer \xe4.\xf6.\xfc"}, 401, "not a JWT"),
        ({"Authorization": "Bearer forged"}, 401, "refused"),
        ({"Authorization": "Bearer " + "x" * 8_193}, 413, "MAX_TOKEN_BYTES"),
    ],
)
async def test_given_no_valid_token_when_asked_then_the_remedy_is_said(
    headers: dict[str, str], status: int, words: str
) -> None:
    async with store() as redis:
        refused = await _refused(guard(redis), headers)

    assert refused.status_code == status
    assert words in refused.detail
    assert refused.detail.endswith(".")
    if status == 401:
        assert (refused.headers or {})["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_given_no_key_configured_when_asked_then_nobody_is_let_in() -> None:
    async with store() as redis:
        rates = Rates(redis, subject=RATE, address=RATE)
        refused = await _refused(Guard(None, rates, max_token_bytes=99), bearer(token()))

    assert refused.status_code == 503
    assert "JWT_JWKS_URL or JWT_SECRET" in refused.detail


async def test_given_keys_away_when_asked_then_it_is_no_refusal_of_the_token() -> None:
    async with store() as redis:
        refused = await _refused(guard(redis, Verifier(RedisUnavailable("x"))), bearer(token()))

    assert refused.status_code == 503
    assert "Retry-After" in (refused.headers or {})


async def test_given_keys_that_take_for_ever_when_asked_then_the_request_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Slow(Verifier):
        async def identify(self, token: str) -> Any:  # noqa: ARG002  # as the protocol has it
            await asyncio.Event().wait()

    monkeypatch.setattr(module, "_PATIENCE_S", 0.01)
    async with store() as redis:
        assert (await _refused(guard(redis, Slow()), bearer(token()))).status_code == 503


async def test_given_a_subject_that_asks_too_often_then_others_are_not_refused() -> None:
    async with store() as redis:
        strict = guard(redis, rate="1/hour")
        await strict.of_request(_request(bearer(token())))
        refused = await _refused(strict, bearer(token()))
        await strict.of_request(_request(bearer(token("student-43"))))
        await strict.of_request(_request(bearer(token(tenant_id="school-8"))))

    assert refused.status_code == 429
    assert int((refused.headers or {})["Retry-After"]) >= 1


async def test_given_redis_away_when_a_token_is_valid_then_it_is_let_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.web.limits.rates._ANSWER_S", 0.05)
    async with Redis(host="127.0.0.1", port=1) as redis:
        assert (await guard(redis).of_request(_request(bearer(token())))).identity
