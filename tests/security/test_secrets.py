"""A full run of real processes, after which nothing that they wrote has a secret in it."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
import redis

from contracts.streams import ENGINE_GROUP, GRAPH_GROUP, MASTERY, REJECTED, RESPONSES
from tests.faults.processes import free_port
from tests.security.event_attacks import event_attacks
from tests.security.forge import SECRET, TENANT, VICTIM, Attack, Forge
from tests.security.guarded_redis import GuardedRedis, guarded_redis
from tests.security.in_process import failure
from tests.security.token_attacks import token_attacks
from tests.support.issuer import ISSUER, KeyServer, SigningKey
from tests.support.servers import Neo4j
from tests.support.whole_run import MASTERY_COMMAND, Setting

_UP_S: Final = 90.0
_SCORE: Final = 0.7351926481
_MARKERS: Final = {
    "answer": "the-answer-is-forty-two",
    "score": str(_SCORE),
    "email": "ann-at-school@private.example",
    "claim": "what-only-the-token-says",
}
_PASSWORD: Final = "a-password-of-a-server-that-is-away"
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[GuardedRedis]:
    """A Redis that asks for passwords."""
    (tmp_path / "redis").mkdir()
    with guarded_redis(tmp_path / "redis") as started:
        yield started


def _good(forge: Forge, number: int) -> bytes:
    claims = forge.claims(VICTIM, email=_MARKERS["email"], note=_MARKERS["claim"])
    return forge.event(
        claims,
        score=_SCORE,
        answer_text=_MARKERS["answer"],
        concept_ids=[f"c-{number}"],
        response_time_ms=4711,
    )


def _misplaced(forge: Forge) -> Iterator[bytes]:
    """Events in which a token, or an answer, stands where something else belongs."""
    claims = forge.claims(email=_MARKERS["email"])
    token = forge.signed(claims)
    for field in ("student_id", "item_id", "session_id", "scale", "answered_at", "score"):
        changes: dict[str, Any] = {field: token}
        yield forge.event(claims, token, **changes)
    for name in ("id", "type", "correlationid", "traceparent", "source", "time"):
        yield forge.event(claims, token, envelope={name: token})
    yield forge.event(claims, token, data={"claims": token})
    yield forge.event(claims, token, data={"response": _MARKERS["answer"]})
    yield forge.event(claims, token, data={token: token}, score=token)
    yield token.encode()
    yield forge.event(claims, token)[:-5]


def _mastery(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [MASTERY_COMMAND, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0, "a server that is away is noticed"
    return done.stdout + done.stderr


def _settled(client: "redis.Redis", count: int) -> bool:
    groups: Any = client.xinfo_groups(RESPONSES) if client.exists(RESPONSES) else []
    told: Any = client.xinfo_groups(MASTERY) if client.exists(MASTERY) else []
    done = {g["name"].decode(): (g["pending"], g["lag"]) for g in (*groups, *told)}
    return (
        client.xlen(REJECTED) >= count
        and done.get(ENGINE_GROUP) == (0, 0)
        and done.get(GRAPH_GROUP) == (0, 0)
    )


def _asked(port: int, token: str) -> list[str]:
    """Collect the HTTP answers to a token shown in every way."""
    places = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        for path in (
            "/health",
            "/health/ready",
            "/metrics",
            "/v1/jobs",
            "/v1/none",
            "/asyncapi.json",
        ):
            answer = client.get(
                path, params={"token": token}, headers={"Authorization": f"Bearer {token}"}
            )
            places.append(f"{answer.headers} {answer.text}")
        places.append(client.post("/v1/jobs", content=token).text)
        places.append(client.get("/v1/jobs", headers={"X-Request-ID": token}).text)
    return places


def test_given_a_full_run_then_nothing_written_has_a_secret(
    guarded: GuardedRedis, database_url: str, neo4j: Neo4j, tmp_path: Path
) -> None:
    keys = (SigningKey("es"), SigningKey("rs", "RS256"), SigningKey("ed", "EdDSA"))
    with KeyServer(*keys) as server, KeyServer(SigningKey("evil")) as other:
        forge = Forge(server, other)
        events = [_good(forge, number) for number in range(20)]
        attacks: list[Attack] = [*token_attacks(), *event_attacks()]
        refused = [*(a.make(forge) for a in attacks if isinstance(a.expected, str) and not a.age_s)]
        misplaced = [*_misplaced(forge)]
        port = free_port()
        setting = Setting(
            guarded.url("worker"), {"DATABASE_URL": database_url}, database_url, neo4j.environment
        )
        environment = setting.environment(
            JWT_JWKS_URL=f"http://user:{_PASSWORD}@{server.url.removeprefix('http://')}",
            JWT_SECRET=SECRET,
            JWT_ISSUER=ISSUER,
            JWT_DELEGATE_ROLES="service_role,teacher",
            HTTP_PORT=str(port),
            LOG_LEVEL="DEBUG",
            LOG_FORMAT="json",
        )
        log = tmp_path / "log"
        written = []
        with guarded.client() as client, client.pubsub() as channels, log.open("wb") as out:
            channels.psubscribe("*")
            for event in (*events, *refused, *misplaced):
                client.xadd(RESPONSES, {"event": event})
            worker = subprocess.Popen(
                [MASTERY_COMMAND, "worker"], env=environment, stdout=out, stderr=out
            )
            try:
                _wait(lambda: _settled(client, len(refused)), worker, log)
                with server.outage():
                    client.xadd(RESPONSES, {"event": forge.with_token(_unknown(forge))})
                    written += _asked(port, forge.signed(forge.claims()))
                    _wait(lambda: "keys_away" in log.read_text(), worker, log)
                _wait(lambda: _settled(client, len(refused) + 1), worker, log)
                letters: Any = client.xrange(REJECTED)
            finally:
                worker.terminate()
                worker.wait(timeout=60)
            while (message := channels.get_message(timeout=0.1)) is not None:
                if message["type"] == "pmessage":
                    written.append(str(message))
        written += _away(setting, environment)

    written.append(log.read_text())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    settled = [line for line in lines if line["event"] == "response_settled"]
    assert sum(line.get("tenant_id") == TENANT for line in settled) >= len(events)
    rejections = [json.loads(fields[b"event"])["data"] for _, fields in letters]
    # Of a dead letter its event is kept whole; all else of it is for people to read.
    written += [
        json.dumps({**rejection, "event": "", "event_base64": ""}) for rejection in rejections
    ]

    secrets = {
        **_MARKERS,
        "secret": SECRET,
        "away": _PASSWORD,
        "neo4j": neo4j.password,
        "postgres": urlsplit(database_url).password or "",
        **{f"redis {user}": word for user, word in guarded.passwords.items()},
    }
    assert all(len(secret) > 8 for secret in secrets.values())
    text = "\n".join(written)
    assert "response_rejected" in text
    assert [name for name, secret in secrets.items() if secret in text] == []
    assert _JWT.findall(text) == []
    assert "Traceback" not in text


def _unknown(forge: Forge) -> str:
    """A token that waits for a key set in which its key is."""
    return forge.key("evil").sign(forge.claims(email=_MARKERS["email"]), kid="not-yet")


def _wait(condition: Any, worker: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _UP_S
    while not condition():
        assert worker.poll() is None, log.read_text()[-3_000:]
        assert time.monotonic() < end, log.read_text()[-3_000:]
        time.sleep(0.1)


def _away(setting: Setting, environment: dict[str, str]) -> list[str]:
    """Collect the output of commands whose servers are away or refuse a password."""
    nowhere = f"user:{_PASSWORD}@127.0.0.1:9"
    parts = urlsplit(setting.dsn)
    wrong = parts._replace(netloc=f"postgres:{_PASSWORD}@{parts.hostname}:{parts.port}").geturl()
    redis_parts = urlsplit(setting.redis_url)
    refused = f"redis://worker:{_PASSWORD}@{redis_parts.hostname}:{redis_parts.port}/0"
    tries: list[tuple[dict[str, str], tuple[str, ...]]] = [
        ({"DATABASE_URL": f"postgresql://{nowhere}/postgres"}, ("verify",)),
        ({"REDIS_URL": f"redis://{nowhere}/0"}, ("rejected", "list")),
        ({"REDIS_URL": refused, "DATABASE_URL": wrong}, ("check",)),
        ({"DATABASE_URL": wrong}, ("worker", "--burst", "--role", "engine")),
        (
            {
                "REDIS_URL": f"redis://user:{_PASSWORD}/x@host:port",
                "DATABASE_URL": f"postgres//user:{_PASSWORD}@host",
                "JWT_SECRET": _PASSWORD[:20],
                "JWT_JWKS_URL": f"http//user:{_PASSWORD}@host",
            },
            ("worker",),
        ),
    ]
    real = tries[-2]
    failures = [
        failure(environment | attempt[0], *attempt[1]) for attempt in tries if attempt is not real
    ]
    return [*failures, _mastery(environment | real[0], *real[1])]
