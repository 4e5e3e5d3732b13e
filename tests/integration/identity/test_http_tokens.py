"""The HTTP side of a worker with the verifier of its settings, an issuer's or a secret's."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import httpx
import jwt
import pytest
from prometheus_client import CollectorRegistry

from tests.support.issuer import KeyServer, SigningKey, base64url, token_claims
from workers.app.http import build_http_side
from workers.app.identity import build_verification
from workers.app.servers import Servers
from workers.config.settings import Settings
from workers.graph.embedded import EmbeddedGraph
from workers.identity.keyring import KeyRing
from workers.ledger.memory.ledger import MemoryLedger
from workers.metrics.health import Health
from workers.streams.embedded_redis import EmbeddedRedis

_SECRET = "a secret of HS256 that is long enough for it"


@asynccontextmanager
async def _served(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    chosen = Settings(_env_file=None, http_port=0, **settings)
    async with AsyncExitStack() as stack:
        redis, graph = EmbeddedRedis(), EmbeddedGraph()
        stack.push_async_callback(redis.close)
        stack.push_async_callback(graph.close)
        servers = Servers(redis.broker(), redis.client(), MemoryLedger(), graph)

        async def refresh() -> None: ...

        side = build_http_side(
            chosen,
            servers,
            health=Health([], version="1.2.3"),
            registry=CollectorRegistry(),
            refresh=refresh,
            calibration=list,
            bearer=build_verification(chosen, servers.redis, "worker").bearer,
        )
        await side.start()
        stack.push_async_callback(side.stop)
        yield await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{side.port}", timeout=30)
        )


async def _status(client: httpx.AsyncClient, token: str) -> int:
    answer = await client.get("/v1/jobs", headers={"Authorization": f"Bearer {token}"})
    assert "eyJ" not in answer.text
    return answer.status_code


def _operator(**changes: Any) -> dict[str, Any]:
    return token_claims("operator-1", role="service_role", **changes)


@pytest.mark.parametrize("mode", [None, "verify", "trust"])
async def test_given_an_issuer_in_any_mode_then_only_its_tokens_are_admitted(
    mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Unknown key ids wait for the next fetch.
    monkeypatch.setattr("workers.app.identity.KeyRing", partial(KeyRing, spacing_s=0.05))
    own, foreign = SigningKey("own"), SigningKey("own")
    with KeyServer(own) as issuer:
        async with _served(jwt_jwks_url=issuer.url, jwt_mode=mode) as client:
            good = own.sign(_operator())
            assert await _status(client, good) == 200
            assert await _status(client, own.sign(token_claims())) == 403
            for bad in (
                foreign.sign(_operator()),
                own.sign(_operator(exp=1)),
                own.sign(_operator(aud="another")),
                own.sign({k: v for k, v in _operator().items() if k != "exp"}),
                jwt.encode(_operator(), _SECRET, "HS256", headers={"kid": "own"}),
                ".".join((base64url(b'{"alg":"none","kid":"own"}'), good.split(".")[1], "")),
                good[:-4] + "AAAA",
            ):
                assert await _status(client, bad) == 401
            with issuer.outage():
                # Known keys serve on; whether an unknown one is good nobody can say now.
                assert await _status(client, good) == 200
                assert await _status(client, SigningKey("new").sign(_operator())) == 503


async def test_given_a_secret_when_asked_then_tokens_of_it_are_let_in() -> None:
    async with _served(jwt_secret=_SECRET) as client:
        assert await _status(client, jwt.encode(_operator(), _SECRET, "HS256")) == 200
        other = jwt.encode(_operator(), _SECRET + "!", "HS256")
        assert await _status(client, other) == 401


async def test_given_no_key_when_asked_then_nobody_is_let_in_and_health_answers() -> None:
    async with _served() as client:
        assert await _status(client, jwt.encode(_operator(), _SECRET, "HS256")) == 503
        assert (await client.get("/health")).status_code == 200
        for path in ("/metrics", "/docs", "/asyncapi.yaml"):
            assert (await client.get(path)).status_code == 200
