"""The Express example on real servers: with one secret, and with the keys of an issuer."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import jwt
from redis import Redis

from contracts.streams import REJECTED
from tests.support.factories import uuid_of
from tests.support.issuer import ISSUER, KeyServer, SigningKey, token_claims
from tests.support.running import running, wait_until
from tests.support.whole_run import MASTERY_COMMAND, Setting

_SECRET: Final = "a secret of the tests that is long enough"
_WITHIN_S: Final = 60.0


def _answer(number: int) -> dict[str, Any]:
    return {
        "response_id": uuid_of("express example", number),
        "item_id": "fractions.add/01",
        "answer": "7/10",
        "answered_at": datetime.now(UTC).isoformat(),
    }


@contextmanager
def _worker_and_express(
    package: Path, directory: Path, setting: Setting, **settings: str
) -> Iterator[httpx.Client]:
    """Run both with the same settings of tokens; provide a client of Express."""
    environment = setting.environment(**settings)
    express = {**environment, "PORT": "0", "SUBSCRIBER_REDIS_URL": setting.redis_url}
    log = directory / "express.log"
    with (
        running([MASTERY_COMMAND, "worker"], directory, environment, directory / "worker.log"),
        running(["node", "build/examples/server.js"], package, express, log),
    ):
        wait_until("Express is ready", lambda: " is ready at " in log.read_text(), _WITHIN_S)
        origin = log.read_text().partition(" is ready at ")[2].split()[0]
        with httpx.Client(base_url=origin, timeout=30) as client:
            yield client


def _mastery(client: httpx.Client, token: str, number: int) -> dict[str, Any]:
    """Send an answer until its mastery comes with it: the worker may just have started."""
    answer = _answer(number)
    headers = {"Authorization": f"Bearer {token}"}
    response = client.post("/answers", json=answer, headers=headers)
    assert response.status_code in {200, 202}, response.text
    if response.status_code == 202:
        time.sleep(1)
        return _mastery(client, token, number + 1)
    (mastery,) = response.json()["mastery"]
    return dict(mastery)


def test_given_keys_of_an_issuer_then_an_answer_returns_its_mastery(
    package: Path, tmp_path: Path, redis_url: str, database_url: str
) -> None:
    key = SigningKey("1")
    with KeyServer(key) as keys:
        setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
        tokens = {"JWT_JWKS_URL": keys.url, "JWT_ISSUER": ISSUER}
        with _worker_and_express(package, tmp_path, setting, **tokens) as client:
            mastery = _mastery(client, key.sign(token_claims("ada")), 1)
            # Demo students are nobody's students.
            assert client.get("/").status_code == client.get("/dev/students").status_code == 404
    assert mastery["concept_id"] == "fractions.add"
    assert mastery["mastery"] > mastery["previous_mastery"]


async def test_given_an_outbox_when_a_token_expired_then_its_answer_counts(
    package: Path, tmp_path: Path, redis_url: str, database_url: str
) -> None:
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    settings = {"JWT_SECRET": _SECRET, "OUTBOX_DATABASE_URL": database_url}
    expired = token_claims("grace", iat=int(time.time()) - 7_200, exp=int(time.time()) - 3_600)
    event = {
        "specversion": "1.0",
        "id": uuid_of("waiting event"),
        "source": "/express/practice",
        "type": "practice.response.recorded.v1",
        "data": {
            "claims": expired,
            "token": jwt.encode(expired, _SECRET),
            "response": {
                "response_id": uuid_of("waiting"),
                "student_id": "grace",
                "item_id": "q-1",
                "concept_ids": ["fractions.add"],
                "correct": True,
                "answered_at": "2026-01-21T09:30:00Z",
            },
        },
    }
    with _worker_and_express(package, tmp_path, setting, **settings) as client:
        _mastery(client, jwt.encode(token_claims("ada"), _SECRET), 100)
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(
                "insert into practice_outbox (event) values ($1)", json.dumps(event)
            )
            count = "select count(*) from public.student_responses where student_id = 'grace'"
            deadline = time.monotonic() + _WITHIN_S
            while not await connection.fetchval(count):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert await connection.fetchval("select count(*) from practice_outbox") == 0
        finally:
            await connection.close()
    with Redis.from_url(redis_url) as redis:
        assert redis.xlen(REJECTED) == 0
