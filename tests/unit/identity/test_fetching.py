"""Fetching key sets, and every way in which that may fail."""

import inspect
import json
from typing import Any, NoReturn

import httpx
import pytest

from tests.support.issuer import KeyServer, SigningKey
from tests.support.token_checks import ES256
from workers.common.errors import KeysUnavailable, Unavailable
from workers.identity.fetching import KeyFetch

ALGORITHMS = ("EdDSA", "ES256", "RS256")
LIBRARY_ERRORS = sorted(
    (
        kind
        for _, kind in inspect.getmembers(httpx, inspect.isclass)
        if issubclass(kind, Exception) and kind is not httpx.CookieConflict
    ),
    key=lambda kind: kind.__name__,
)


async def reason(fetch: KeyFetch) -> str:
    with pytest.raises(KeysUnavailable) as caught:
        await fetch()
    assert isinstance(caught.value, Unavailable)
    assert caught.value.server == "keys"
    return caught.value.reason


async def test_given_a_key_set_when_fetched_then_its_usable_keys_are_known() -> None:
    with KeyServer(ES256, SigningKey("ed", "EdDSA"), SigningKey("enc", use="enc")) as server:
        keys = await KeyFetch(server.url, ALGORITHMS)()
    assert [key.key_id for key in keys] == ["es", "ed"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (100_000 * b"[", "no JSON"),
        (b"[]", "list 'keys'"),
        (b"{}", "list 'keys'"),
        (b'{"keys": {}}', "list 'keys'"),
        (b'{"keys": []}', "no key for EdDSA"),
        (b'{"keys": [{}, null, 1]}', "no key for EdDSA"),
        (json.dumps({"keys": [{"kty": "oct", "k": "AAAA"}]}).encode(), "JWT_ALGORITHMS"),
        (json.dumps({"keys": 65 * [ES256.jwk()]}).encode(), "more than 64 keys"),
        (300_000 * b" ", "more than 262144 bytes"),
    ],
)
async def test_given_an_answer_without_keys_then_it_is_an_outage(body: bytes, says: str) -> None:
    with KeyServer(ES256) as server:
        server.body = body
        assert says in await reason(KeyFetch(server.url, ALGORITHMS))


@pytest.mark.parametrize("status", [301, 302, 307, 308, 404, 500, 503])
async def test_given_a_bad_status_then_it_is_an_outage_and_redirects_are_ignored(
    status: int,
) -> None:
    with KeyServer(SigningKey("forged")) as other, KeyServer(ES256) as server:
        server.status = status
        server.headers = {"Location": other.url}
        assert str(status) in await reason(KeyFetch(server.url, ALGORITHMS))
        assert other.fetches == 0


async def test_given_a_slow_or_absent_server_then_it_is_an_outage() -> None:
    with KeyServer(ES256) as server:
        server.delay_s = 2
        assert "0.2 s" in await reason(KeyFetch(server.url, ALGORITHMS, timeout_s=0.2))
        server.delay_s = 0
    assert "ConnectError" in await reason(KeyFetch(server.url, ALGORITHMS))


@pytest.mark.parametrize("kind", LIBRARY_ERRORS, ids=lambda kind: kind.__name__)
async def test_given_any_error_of_the_library_then_it_is_an_outage(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> NoReturn:
        if issubclass(kind, httpx.HTTPStatusError):
            request = httpx.Request("GET", "http://x")
            raise kind("secret", request=request, response=httpx.Response(500))
        try:
            raise kind("secret")
        except TypeError:
            raise kind() from None

    monkeypatch.setattr(httpx.AsyncClient, "stream", broken)
    said = await reason(KeyFetch("http://127.0.0.1:1/", ALGORITHMS))
    assert "secret" not in said
    assert kind.__name__ in said
