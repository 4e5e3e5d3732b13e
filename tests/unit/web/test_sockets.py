"""Sockets of the real server in this process, over the embedded Redis."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx
import pytest
from redis.asyncio import Redis
from starlette.middleware import Middleware
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from contracts.streams import MASTERY
from tests.support.factories import uuid_of
from tests.support.http_callers import guard, operator, store, token
from workers.common.errors import RedisUnavailable
from workers.estimation.learner import LearnerKey
from workers.operations.jobs.progress_feed import JobWatch
from workers.operations.jobs.record import JobKey, JobRequest, JobStatus
from workers.operations.jobs.records import JobRecords
from workers.web import socket_protocol
from workers.web.http import application
from workers.web.limits.rates import AddressMiddleware, Rates
from workers.web.server import HttpServer
from workers.web.sockets import mastery, serving
from workers.web.sockets.admission import SocketAdmission
from workers.web.sockets.mastery import LiveMastery
from workers.web.sockets.routes import Sockets

_WITHIN_S: Final = 30.0
_ORIGIN: Final = "https://app.example"
_PATH: Final = "/v1/ws/students/student-42/mastery"
_JOB: Final = JobKey("school-7", uuid_of("job", 1))
_JOB_PATH: Final = f"/v1/ws/jobs/{_JOB.job_id}"


@dataclass
class _Served:
    port: int
    redis: Redis
    records: JobRecords
    admission: SocketAdmission
    live: LiveMastery

    def open(self, path: str, of: str | None = None, **how: Any) -> connect:
        if of is not None:
            how["subprotocols"] = [Subprotocol("bearer"), Subprotocol(of)]
        return connect(f"ws://127.0.0.1:{self.port}{path}", open_timeout=_WITHIN_S, **how)

    async def refusal(self, path: str, of: str | None = None, **how: Any) -> tuple[int, str]:
        """The status and message with which a handshake is refused."""
        with pytest.raises(InvalidStatus) as caught:
            await self.open(path, of, **how).__aenter__()
        answer = caught.value.response
        error = json.loads(answer.body or b"")["error"]
        assert error["status"] == answer.status_code
        assert error["request_id"] == answer.headers["x-request-id"]
        assert answer.headers["cache-control"] == "no-store"
        return answer.status_code, error["message"]


async def _fails(socket: WebSocket) -> None:
    await socket.accept()
    raise RuntimeError("secret detail")


async def _fails_at_once(_: WebSocket) -> None:
    raise RuntimeError("secret detail")


@asynccontextmanager
async def _served(
    live: type[LiveMastery] = LiveMastery, *, address: str = "1000/minute", **limits: int
) -> AsyncIterator[_Served]:
    async with store() as redis:
        records = JobRecords(redis)
        watch = JobWatch(redis, records)
        admission = SocketAdmission(
            guard(redis),
            origins=[_ORIGIN],
            max_open=limits.get("max_open", 50),
            max_per_subject=limits.get("max_per_subject", 5),
        )
        sockets = Sockets(
            admission=admission,
            records=records,
            watch=watch,
            live=live(redis, [MASTERY]),
            delegate_roles=["service_role"],
            job_roles=["service_role"],
        )
        app = application(
            [
                *sockets.routes,
                WebSocketRoute("/v1/ws/fails", _fails),
                WebSocketRoute("/v1/ws/fails/at-once", _fails_at_once),
            ],
            [Middleware(AddressMiddleware, rates=Rates(redis, subject=address, address=address))],
        )
        server = HttpServer(app, "127.0.0.1", 0)
        await server.start()
        try:
            yield _Served(server.port, redis, records, admission, sockets.live)
        finally:
            await server.stop()
            await watch.close()


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while not holds():
            await asyncio.sleep(0.01)


async def _next(socket: ClientConnection) -> Any:
    async with asyncio.timeout(_WITHIN_S):
        return json.loads(await socket.recv())


async def _code(read: Callable[[], Awaitable[Any]]) -> int | None:
    """The code with which the other side closes, whatever it says before."""
    async with asyncio.timeout(_WITHIN_S):
        while True:
            try:
                await read()
            except ConnectionClosed as closed:
                return None if closed.rcvd is None else closed.rcvd.code


def _event(tenant_id: str = "school-7", student_id: str = "student-42", **more: Any) -> str:
    return json.dumps({"data": {"tenant_id": tenant_id, "student_id": student_id, **more}})


async def _add(redis: Redis, event: str | bytes) -> None:
    await redis.xadd(MASTERY, {"event": event})


# Who may open one


async def test_given_no_token_or_a_forged_one_when_connecting_then_the_handshake_is_refused() -> (
    None
):
    async with _served() as served:
        assert (await served.refusal(_PATH))[0] == 401
        assert "?token=TOKEN" in (await served.refusal(_PATH))[1]
        assert (await served.refusal(_PATH, "forged"))[0] == 401
        assert (await served.refusal(f"{_PATH}?token=forged"))[0] == 401
        assert (await served.refusal(_PATH, subprotocols=[Subprotocol("bearer")]))[0] == 401


async def test_given_another_student_when_connecting_then_only_a_delegated_role_may() -> None:
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


async def test_given_a_job_when_another_asks_then_only_its_tenant_and_role_may_follow() -> None:
    async with _served() as served:
        await served.records.open(JobRequest(_JOB, "verify"))
        assert (await served.refusal(_JOB_PATH, operator("school-8")))[0] == 404
        assert (await served.refusal(_JOB_PATH, token()))[0] == 403
        assert (await served.refusal(f"{_JOB_PATH[:-1]}x", operator()))[0] == 404


async def test_given_a_path_of_no_socket_when_connecting_then_it_is_not_found() -> None:
    async with _served() as served:
        assert (await served.refusal("/v1/ws/nothing", token()))[0] == 404


async def test_given_a_plain_request_when_answered_then_it_says_why_a_socket_would_be_refused() -> (
    None
):
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


async def test_given_as_many_sockets_as_may_be_when_one_more_comes_then_it_has_to_wait() -> None:
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


async def test_given_an_address_that_connects_too_often_when_refused_then_the_status_is_429() -> (
    None
):
    async with _served(address="1/hour") as served:
        async with served.open(_PATH, token()):
            pass
        assert (await served.refusal(_PATH, token()))[0] == 429


async def test_given_redis_away_when_connecting_then_it_is_to_come_again() -> None:
    class Away(LiveMastery):
        async def _ends(self) -> dict[str, str]:
            raise RedisUnavailable("away")

    async with _served(Away) as served:
        assert (await served.refusal(_PATH, token()))[0] == 503
        await _until(lambda: served.admission.inside == 0)


# What they say


async def test_given_followers_when_mastery_changes_then_each_hears_of_its_own_student() -> None:
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


async def test_given_redis_away_for_a_while_when_it_is_back_then_nothing_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mastery, "_AWAY_S", 0.01)
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


async def test_given_a_job_when_it_moves_on_then_each_step_is_said_until_it_has_ended() -> None:
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


# Why they are closed


async def test_given_a_token_that_expires_when_it_does_then_the_socket_is_closed() -> None:
    async with (
        _served() as served,
        served.open(_PATH, token(exp=int(time.time()) + 1)) as socket,
    ):
        assert await _code(socket.recv) == 4401


async def test_given_a_client_that_talks_when_it_goes_on_then_the_socket_is_closed() -> None:
    async def say() -> None:
        await socket.send("hello")
        await asyncio.sleep(0)

    async with _served() as served, served.open(_PATH, token()) as socket:
        assert await _code(say) == 1008


async def test_given_a_long_message_when_it_arrives_then_the_socket_is_closed() -> None:
    async with _served() as served, served.open(_PATH, token()) as socket:
        await socket.send("x" * (socket_protocol.MAX_MESSAGE_BYTES + 1))
        assert await _code(socket.recv) == 1009


async def test_given_a_server_that_ends_when_it_does_then_sockets_are_told_to_come_again() -> None:
    async with _served() as served:
        socket = await served.open(_PATH, token()).__aenter__()
    assert await _code(socket.recv) == 1012


def _flood(live: LiveMastery) -> None:
    """More than sockets of the system take, and a queue."""
    key = LearnerKey("school-7", "student-42")
    event = _event(filling="x" * 20_000).encode()
    for _ in range(50):
        if not live.followers(key):
            return
        live.deliver(event)


async def test_given_a_slow_client_when_its_mailbox_is_full_then_it_is_closed_and_told() -> None:
    async with _served() as served, served.open(_PATH, token(), max_queue=1) as socket:
        key = LearnerKey("school-7", "student-42")
        async with asyncio.timeout(_WITHIN_S):
            while not any(one.overflowing.is_set() for one in served.live.followers(key)):
                _flood(served.live)
                await asyncio.sleep(0)
        assert await _code(socket.recv) == 1013


async def test_given_a_client_that_reads_nothing_when_it_is_too_slow_then_it_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "_CLOSING_S", 0.05)
    monkeypatch.setattr(socket_protocol, "_CUT_S", 0.05)
    async with _served() as served:
        socket = await served.open(_PATH, token(), max_queue=1).__aenter__()
        async with asyncio.timeout(_WITHIN_S):
            while served.admission.inside:
                _flood(served.live)
                await asyncio.sleep(0)
        assert await _code(socket.recv) != 1000


@pytest.mark.parametrize("path", ["/v1/ws/fails", "/v1/ws/fails/at-once"])
async def test_given_a_failure_when_it_happens_then_the_log_has_it_and_the_client_does_not(
    path: str,
) -> None:
    async with _served() as served:
        with capture_logs() as logs:
            if path.endswith("at-once"):
                assert (await served.refusal(path))[0] == 500
            else:
                async with served.open(path) as socket:
                    assert await _code(socket.recv) == 1011
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["request failed"]


async def test_given_sockets_when_logged_then_id_and_code_are_there_and_no_token() -> None:
    mine = token()
    with capture_logs() as logs:
        async with _served() as served:
            async with served.open(
                f"{_PATH}?token={mine}", additional_headers={"X-Request-ID": "req-5"}
            ) as socket:
                assert socket.response is not None
                assert socket.response.headers["x-request-id"] == "req-5"
            await _until(lambda: served.admission.inside == 0)
            await served.refusal(_PATH, "eyJforged")

    lines = [line for line in logs if line["event"] == "socket"]
    assert [(line["status"], line.get("close_code")) for line in lines] == [
        (101, 1000),
        (401, None),
    ]
    assert "eyJ" not in str(logs)
