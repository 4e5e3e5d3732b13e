"""Sockets: who may open one, and what they say."""

import asyncio
import json
from dataclasses import replace
from typing import Any, Final

import httpx
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from contracts.streams import MASTERY
from tests.support.factories import uuid_of
from tests.support.http_callers import operator, token
from tests.support.served_sockets import ORIGIN as _ORIGIN
from tests.support.served_sockets import PATH as _PATH
from tests.support.served_sockets import WITHIN_S as _WITHIN_S
from tests.support.served_sockets import code as _code
from tests.support.served_sockets import event as _event
from tests.support.served_sockets import served as _served
from tests.support.served_sockets import until as _until
from workers.common.errors import RedisUnavailable
from workers.operations.jobs.record import JobKey, JobRequest, JobStatus
from workers.web.sockets import mastery
from workers.web.sockets.mastery import LiveMastery

_JOB: Final = JobKey("school-7", uuid_of("job", 1))
_JOB_PATH: Final = f"/v1/ws/jobs/{_JOB.job_id}"


async def _next(socket: ClientConnection) -> Any:
    async with asyncio.timeout(_WITHIN_S):
        return json.loads(await socket.recv())


async def _add(redis: Redis, event: str | bytes) -> None:
    await redis.xadd(MASTERY, {"event": event})


# Who may open one


async def test_given_no_token_or_a_forged_one_then_the_handshake_is_refused() -> None:
    async with _served() as served:
        assert (await served.refusal(_PATH))[0] == 401
        assert "?token=TOKEN" in (await served.refusal(_PATH))[1]
        assert (await served.refusal(_PATH, "forged"))[0] == 401
        assert (await served.refusal(f"{_PATH}?token=forged"))[0] == 401
        assert (await served.refusal(_PATH, subprotocols=[Subprotocol("bearer")]))[0] == 401


async def test_given_another_student_then_only_a_delegated_role_may_connect() -> None:
    async with _served() as served:
        assert (await served.refusal(_PATH, token("student-43")))[0] == 403
        async with served.open(_PATH, operator()) as socket:
            assert socket.subprotocol == "bearer"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("null", 403),
        ("https://app.example.evil.example", 403),
        (_ORIGIN, None),
        ("https://APP.example", None),
        (None, None),
    ],
)
async def test_given_a_page_when_it_connects_then_its_origin_is_looked_at(
    origin: str | None, status: int | None
) -> None:
    async with _served() as served:
        if status is not None:
            assert (await served.refusal(_PATH, token(), origin=origin))[0] == status
        else:
            async with served.open(_PATH, token(), origin=origin):
                pass


async def test_given_a_job_then_only_its_tenant_and_role_may_follow() -> None:
    async with _served() as served:
        await served.records.open(JobRequest(_JOB, "verify"))
        assert (await served.refusal(_JOB_PATH, operator("school-8")))[0] == 404
        assert (await served.refusal(_JOB_PATH, token()))[0] == 403
        assert (await served.refusal(f"{_JOB_PATH[:-1]}x", operator()))[0] == 404


async def test_given_a_path_of_no_socket_when_connecting_then_it_is_not_found() -> None:
    async with _served() as served:
        assert (await served.refusal("/v1/ws/nothing", token()))[0] == 404


async def test_given_a_plain_request_then_it_says_why_a_socket_would_be_refused() -> None:
    async with _served() as served, httpx.AsyncClient() as client:
        await served.records.open(JobRequest(_JOB, "verify"))
        at = f"http://127.0.0.1:{served.port}"
        for path, of, status in (
            (_PATH, token(), 426),
            (_PATH, token("student-43"), 403),
            (_JOB_PATH, operator(), 426),
            (_JOB_PATH, operator("school-8"), 404),
        ):
            answer = await client.get(f"{at}{path}", params={"token": of})
            assert answer.status_code == status
            assert answer.json()["error"]["status"] == status
            assert ("upgrade" in answer.headers) is (status == 426)


async def test_given_full_sockets_when_one_more_comes_then_it_has_to_wait() -> None:
    async with _served(max_open=3, max_per_subject=2) as served:
        async with (
            served.open(_PATH, token()),
            served.open(_PATH, token()),
        ):
            assert (await served.refusal(_PATH, token()))[0] == 429
            async with served.open("/v1/ws/students/student-43/mastery", token("student-43")):
                assert served.admission.inside == 3
                assert (await served.refusal(_PATH, operator()))[0] == 503
        await _until(lambda: served.admission.inside == 0)
        async with served.open(_PATH, token()):
            pass


async def test_given_an_address_that_connects_too_often_then_the_status_is_429() -> None:
    async with _served(address="1/hour") as served:
        async with served.open(_PATH, token()):
            pass
        assert (await served.refusal(_PATH, token()))[0] == 429


async def test_given_redis_away_when_connecting_then_it_is_to_come_again() -> None:
    class Away(LiveMastery):
        async def _ends(self) -> tuple[dict[str, str], int]:
            raise RedisUnavailable("away")

    async with _served(Away) as served:
        assert (await served.refusal(_PATH, token()))[0] == 503
        await _until(lambda: served.admission.inside == 0)


# What they say


async def test_given_followers_and_changes_then_each_hears_of_its_own_student() -> None:
    async with _served() as served:
        await _add(served.redis, _event(version=1))
        async with (
            served.open(_PATH, token()) as first,
            served.open(f"{_PATH}?token={token()}") as second,
            served.open(_PATH, token(tenant_id="school-8")) as foreign,
        ):
            for broken in (b"\xff", b"[]", b'{"data": 7}', b'{"data": {"tenant_id": "t"}}'):
                await _add(served.redis, broken)
            await served.redis.xadd(MASTERY, {"other": "field"})
            await _add(served.redis, _event(student_id="student-43", version=2))
            await _add(served.redis, _event(version=3))
            await _add(served.redis, _event("school-8", version=4))
            assert (await _next(first))["version"] == 3
            assert (await _next(second))["version"] == 3
            assert (await _next(foreign))["version"] == 4
        await _until(lambda: not served.live.reading)
        # Whoever comes later begins where the stream ends by then.
        await _add(served.redis, _event(version=5))
        async with served.open(_PATH, token()) as later:
            await _add(served.redis, _event(version=6))
            assert (await _next(later))["version"] == 6


async def test_given_redis_away_when_it_is_back_then_nothing_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mastery, "_AWAY_S", 0.01)
    monkeypatch.setattr(mastery, "_BLOCK_MS", 20)
    async with _served() as served, served.open(_PATH, token()) as socket:
        read, failed = served.redis.xread, asyncio.Event()

        async def away(*_: Any, **__: Any) -> Any:
            failed.set()
            raise ConnectionError

        with capture_logs():
            monkeypatch.setattr(served.redis, "xread", away)
            await asyncio.wait_for(failed.wait(), _WITHIN_S)
            await _add(served.redis, _event(version=1))
            monkeypatch.setattr(served.redis, "xread", read)
            assert (await _next(socket))["version"] == 1


async def test_given_a_job_when_it_moves_on_then_each_step_is_sent_until_it_ends() -> None:
    async with _served() as served:
        record = await served.records.open(JobRequest(_JOB, "verify"))
        async with served.open(_JOB_PATH, operator()) as socket:
            first = await _next(socket)
            assert first == {
                "job_id": _JOB.job_id,
                "progress": 0.0,
                "step": 0,
                "total_steps": 0,
                "payload": {"kind": "verify", "status": "queued"},
            }
            run = await served.records.begin(_JOB, "run")
            assert run is not None
            half = replace(record, status=JobStatus.RUNNING, progress=0.5, step=1, total_steps=2)
            await served.records.note(run, half)
            assert (await _next(socket))["progress"] == 0.5
            # Another tenant's job of the same id has the same channel, and is none of its business.
            await served.redis.publish(f"job_progress:{_JOB.job_id}", '{"progress": 0.9}')
            done = replace(half, status=JobStatus.FAILED, problem="it did not work")
            await served.records.note(run, done)
            last = await _next(socket)
            assert last["payload"] == {
                "kind": "verify", "status": "failed", "problem": "it did not work",
            }  # fmt: skip
            assert await _code(socket.recv) == 1000
