"""HTTP and sockets of a real worker over real servers, as a browser and an operator use them."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.support.factories import uuid_of
from tests.support.whole_run import MASTERY_COMMAND

_SECRET: Final = "an acceptance test's own secret, long enough"
_ORIGIN: Final = "https://app.example"
_WITHIN_S: Final = 60.0
_MINE: Final = ("REDIS_URL", "DATABASE_URL", "SUPABASE_", "NEO4J_", "JWT_", "ENVIRONMENT", "HTTP_")


def _token(subject: str, tenant_id: str = "school-7", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "sub": subject,
        "iss": "https://issuer.example",
        "aud": "authenticated",
        "role": "authenticated",
        "iat": now - 1,
        "exp": now + 3_600,
        "tenant_id": tenant_id,
    }
    return jwt.encode(claims | changes, _SECRET, algorithm="HS256")


def _operator(tenant_id: str = "school-7") -> str:
    return _token("operator", tenant_id, role="service_role")


class _Worker:
    """A worker's process, and what it has written."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def port(self, event: str) -> int | None:
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                if (told := json.loads(line)).get("event") == event:
                    return int(told["port"])
        return None


@asynccontextmanager
async def _worker(
    directory: Path, redis_url: str, database_url: str, **settings: str
) -> AsyncIterator[_Worker]:
    log = directory / "worker.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_MINE)}
    environment |= {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "JWT_SECRET": _SECRET,
        "HTTP_PORT": "0",
        "HTTP_INNER_PORT": "0",
        "CORS_ALLOWED_ORIGINS": _ORIGIN,
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "DEBUG",
        **settings,
    }
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            MASTERY_COMMAND, "worker", cwd=directory, env=environment, stdout=out, stderr=out
        )
    worker = _Worker(log)
    try:
        await _until(lambda: "worker_started" in log.read_text(), process)
        yield worker
    finally:
        if process.returncode is None:
            process.terminate()
        assert await asyncio.wait_for(process.wait(), _WITHIN_S) == 0, log.read_text()[-2_000:]


async def _until(holds: Callable[[], bool], process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while not holds():
            assert process.returncode is None
            await asyncio.sleep(0.05)


def _socket(port: int, path: str, token: str, *, origin: str | None = _ORIGIN) -> connect:
    return connect(
        f"ws://127.0.0.1:{port}{path}",
        subprotocols=[Subprotocol("bearer"), Subprotocol(token)],
        origin=origin,  # type: ignore[arg-type]  # a plain string is one
        open_timeout=_WITHIN_S,
    )


async def _next(socket: ClientConnection) -> Any:
    async with asyncio.timeout(_WITHIN_S):
        return json.loads(await socket.recv())


async def _publish(redis: Redis, student_id: str, number: int, tenant_id: str = "school-7") -> None:
    token = _token(student_id, tenant_id)
    event = {
        "specversion": "1.0",
        "id": uuid_of("live event", tenant_id, student_id, number),
        "source": "/express/practice",
        "type": "practice.response.recorded.v1",
        "data": {
            "claims": jwt.decode(token, options={"verify_signature": False}),
            "token": token,
            "response": {
                "response_id": uuid_of("live", tenant_id, student_id, number),
                "student_id": student_id,
                "item_id": "q-1",
                "concept_ids": ["fractions.add"],
                "correct": True,
                "answered_at": "2026-11-21T09:30:00Z",
            },
        },
    }
    await redis.xadd("practice.responses.v1", {"event": json.dumps(event)})


async def test_given_a_worker_over_http_and_sockets_then_users_see_their_own(
    tmp_path: Path, redis_url: str, database_url: str
) -> None:
    async with (
        Redis.from_url(redis_url) as redis,
        _worker(tmp_path, redis_url, database_url) as worker,
    ):
        port, inner = worker.port("http_started"), worker.port("http_inner_started")
        assert port is not None
        assert inner is not None
        async with httpx.AsyncClient(timeout=_WITHIN_S) as client:
            for path in ("/metrics", "/docs", "/asyncapi.json"):
                outer = await client.get(f"http://127.0.0.1:{port}{path}")
                assert outer.status_code == 404
                assert (await client.get(f"http://127.0.0.1:{inner}{path}")).status_code == 200
            for there in (port, inner):
                live = await client.get(f"http://127.0.0.1:{there}/health/live")
                assert live.status_code == 200
            await _a_student_follows_only_their_own(port, redis)
            await _a_job_is_asked_for_and_followed(port, client)
            await _a_slow_token_expires(port)

    written = worker.log.read_text()
    assert '"event": "socket"' in written
    assert "eyJ" not in written
    assert _SECRET not in written


async def _a_student_follows_only_their_own(port: int, redis: Redis) -> None:
    own, path = _token("student/ä"), "/v1/ws/students/student%2F%C3%A4/mastery"
    other = "/v1/ws/students/student-2/mastery"
    for token, asked, origin, status in (
        (own, other, _ORIGIN, 403),
        (own, path, "https://evil.example", 403),
        (own + "x", path, _ORIGIN, 401),
        (_token("student/ä", exp=int(time.time()) - 3_600), path, _ORIGIN, 401),
        (own, "/v1/ws/nothing", _ORIGIN, 404),
    ):
        with pytest.raises(InvalidStatus) as refused:
            await _socket(port, asked, token, origin=origin).__aenter__()
        assert refused.value.response.status_code == status
        error = json.loads(refused.value.response.body or b"")["error"]
        assert error["status"] == status
        assert error["request_id"] == refused.value.response.headers["x-request-id"]

    teacher = _token("teacher-1", role="service_role")
    stranger = _token("student/ä", "school-8")
    url = f"ws://127.0.0.1:{port}{path}?token={own}"
    async with (
        _socket(port, path, own) as first,
        connect(url, open_timeout=_WITHIN_S) as second,
        _socket(port, path, teacher) as third,
        _socket(port, path, stranger) as foreign,
    ):
        assert first.subprotocol == "bearer"
        assert second.subprotocol is None
        await _publish(redis, "student-2", 0)
        await _publish(redis, "student/ä", 0)
        for socket in (first, second, third):
            data = await _next(socket)
            assert (data["tenant_id"], data["student_id"]) == ("school-7", "student/ä")
            assert data["mastery"] > data["previous_mastery"]
        await _publish(redis, "student/ä", 0, "school-8")
        assert (await _next(foreign))["tenant_id"] == "school-8"


async def _a_job_is_asked_for_and_followed(port: int, client: httpx.AsyncClient) -> None:
    url, own = f"http://127.0.0.1:{port}/v1/jobs", {"Authorization": f"Bearer {_operator()}"}
    job_id = uuid_of("job", 1)
    asked = await client.post(url, headers=own, json={"kind": "verify", "job_id": job_id})
    assert asked.status_code == 202, asked.text
    async with _socket(port, f"/v1/ws/jobs/{job_id}", _operator()) as socket:
        said, code = [], None
        while code is None:
            try:
                said.append(await _next(socket))
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else 1006
    assert code == 1000
    assert {message["job_id"] for message in said} == {job_id}
    assert [message["progress"] for message in said] == sorted(
        message["progress"] for message in said
    )
    assert said[-1]["payload"]["status"] == "succeeded"
    assert said[-1]["payload"]["result"]["learners"] == 2
    assert said[-1]["payload"]["result"]["differences"] == 0

    again = await client.post(url, headers=own, json={"kind": "verify", "job_id": job_id})
    assert (again.status_code, again.json()["status"]) == (202, "succeeded")
    foreign = {"Authorization": f"Bearer {_operator('school-8')}"}
    assert (await client.get(f"{url}/{job_id}", headers=foreign)).status_code == 404
    assert (await client.get(url, headers=foreign)).json()["jobs"] == []
    with pytest.raises(InvalidStatus) as refused:
        await _socket(port, f"/v1/ws/jobs/{job_id}", _operator("school-8")).__aenter__()
    assert refused.value.response.status_code == 404


async def _a_slow_token_expires(port: int) -> None:
    # Within the leeway of clocks it is let in; at its own expiry it has to go.
    expired = _token("student-9", exp=int(time.time()) - 1)
    async with _socket(port, "/v1/ws/students/student-9/mastery", expired) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await _next(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_given_a_job_whose_worker_ends_then_another_worker_does_it_once(
    tmp_path: Path, redis_url: str, database_url: str
) -> None:
    settings = {"HTTP_INNER_PORT": "", "RECLAIM_AFTER_MS": "500"}
    job_id = uuid_of("job", 2)
    headers = {"Authorization": f"Bearer {_operator()}"}
    async with httpx.AsyncClient(timeout=_WITHIN_S) as client:
        async with (
            Redis.from_url(redis_url) as redis,
            _worker(tmp_path, redis_url, database_url, **settings) as worker,
        ):
            url = f"http://127.0.0.1:{worker.port('http_started')}/v1/jobs"
            # Nobody can finish it meanwhile: what it has to write is not what it must be.
            await redis.set("practice.rejected.v1", "no stream")
            asked = await client.post(
                url, headers=headers, json={"kind": "rebuild", "job_id": job_id}
            )
            assert asked.status_code == 202, asked.text
            async with asyncio.timeout(_WITHIN_S):
                while '"job_left_pending"' not in worker.log.read_text():
                    await asyncio.sleep(0.05)
            await redis.delete("practice.rejected.v1")
        async with (
            Redis.from_url(redis_url) as redis,
            _worker(tmp_path, redis_url, database_url, **settings) as worker,
        ):
            async with asyncio.timeout(_WITHIN_S):
                while True:
                    group = (await redis.xinfo_groups("practice.jobs.v1"))[0]
                    if group["pending"] == 0:
                        break
                    await asyncio.sleep(0.05)
            url = f"http://127.0.0.1:{worker.port('http_started')}/v1/jobs/{job_id}"
            record = (await client.get(url, headers=headers)).json()
            assert record["status"] == "succeeded"
            assert "job_started" not in worker.log.read_text()
