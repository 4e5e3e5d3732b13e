"""The routes below /dev: tokens for demo students, and answers that travel as everybody's."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from redis.asyncio import Redis

from contracts.responses import ResponseRecorded
from contracts.streams import RESPONSES
from workers.dev.issuer import Issuer
from workers.dev.routes import DevRoutes
from workers.dev.students import DEMO_STUDENTS
from workers.identity.keys import usable_keys
from workers.streams.embedded_redis import EmbeddedRedis
from workers.web.http import application

ADA = DEMO_STUDENTS[0].student_id
ABOUT = {"redis_url": "redis://127.0.0.1:6399"}


@dataclass
class Dev:
    http: httpx.AsyncClient
    redis: Redis
    issuer: Issuer

    def verified(self, token: str) -> Any:
        (key,) = usable_keys(self.issuer.key_set()["keys"], ["ES256"])
        return jwt.decode(token, key.by_algorithm["ES256"], ["ES256"], audience="authenticated")


@pytest.fixture
async def dev() -> AsyncIterator[Dev]:
    embedded, issuer = EmbeddedRedis(), Issuer(generate_private_key(SECP256R1()))
    client = embedded.client()
    app = application(DevRoutes(issuer, client, ABOUT).routes)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        yield Dev(http, client, issuer)
    await embedded.close()


async def test_given_a_demo_student_then_a_token_of_theirs_is_given(dev: Dev) -> None:
    answer = await dev.http.post("/dev/token", json={"student_id": ADA})

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    claims = dev.verified(answer.json()["token"])
    assert (claims["sub"], claims["role"]) == (ADA, "authenticated")


@pytest.mark.parametrize("path", ["/dev/token", "/dev/responses"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"student_id": "somebody"}', 403),
        (b'{"student_id": ""}', 403),
        (b'{"student_id": ["student-001"]}', 422),
        (b"{}", 422),
        (b'["student-001"]', 422),
        (b"student_id=student-001", 422),
        (b"", 422),
    ],
)
async def test_given_anybody_else_then_there_is_no_token_and_no_event(
    dev: Dev, path: str, body: bytes, status: int
) -> None:
    answer = await dev.http.post(path, content=body)

    assert answer.status_code == status
    assert "eyJ" not in answer.text
    assert await dev.redis.xlen(RESPONSES) == 0


async def test_given_a_role_in_the_body_then_the_token_has_it_not(dev: Dev) -> None:
    body = {"student_id": ADA, "role": "service_role", "tenant_id": "school-7"}
    answer = await dev.http.post("/dev/token", json=body)

    claims = dev.verified(answer.json()["token"])
    assert claims["role"] == "authenticated"
    assert "tenant_id" not in claims


async def test_given_an_answer_then_a_whole_event_enters_the_stream(dev: Dev) -> None:
    response = {
        "student_id": ADA,
        "item_id": "fractions.add/01",
        "concept_ids": ["fractions.add"],
        "scale": "math",
        "correct": True,
        "response_time_ms": 8200,
    }
    answer = await dev.http.post("/dev/responses", json=response, headers={"X-Request-ID": "req-7"})

    assert answer.status_code == 202
    entries: Any = await dev.redis.xrange(RESPONSES)
    ((entry_id, fields),) = entries
    sent = answer.json()
    assert sent["entry_id"] == entry_id.decode()
    assert fields == {b"event": fields[b"event"]}
    assert sent["event"] == json.loads(fields[b"event"])
    event = ResponseRecorded.model_validate_json(fields[b"event"])
    assert (event.subject, event.correlationid) == (ADA, "req-7")
    assert event.data.token is not None
    assert dev.verified(event.data.token) == sent["event"]["data"]["claims"]
    assert sent["event"]["data"]["response"].items() > response.items()


async def test_given_an_id_of_the_answer_then_it_is_kept(dev: Dev) -> None:
    own = {"response_id": "0193f0c0-0000-7000-8000-000000000001", "answered_at": "2026-11-21"}
    answer = await dev.http.post("/dev/responses", json={"student_id": ADA, **own})

    # Also what is wrong: judging is the worker's task.
    assert answer.status_code == 202
    assert answer.json()["event"]["data"]["response"] == {"student_id": ADA, **own}


async def test_given_the_lists_then_they_name_students_items_and_keys(dev: Dev) -> None:
    students = (await dev.http.get("/dev/students")).json()["students"]
    curriculum = (await dev.http.get("/dev/curriculum")).json()

    assert students[0] == {"student_id": ADA, "name": "Ada"}
    assert curriculum["items"][0].keys() == {
        "id", "concept_ids", "scale", "question", "choices", "answer",
    }  # fmt: skip
    assert (await dev.http.get("/dev/jwks.json")).json() == dev.issuer.key_set()
    assert (await dev.http.get("/dev")).json() == ABOUT
