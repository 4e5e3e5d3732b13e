"""Sockets of the real server in this process, over the embedded Redis."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from redis.asyncio import Redis
from starlette.middleware import Middleware
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from contracts.streams import MASTERY
from tests.support.http_callers import guard, store
from workers.operations.jobs.progress_feed import JobWatch
from workers.operations.jobs.records import JobRecords
from workers.web.http import application
from workers.web.limits.rates import AddressMiddleware, Rates
from workers.web.server import HttpServer
from workers.web.sockets.admission import SocketAdmission
from workers.web.sockets.mastery import LiveMastery
from workers.web.sockets.routes import Sockets

WITHIN_S: Final = 30.0
ORIGIN: Final = "https://app.example"
PATH: Final = "/v1/ws/students/student-42/mastery"


@dataclass
class ServedSockets:
    port: int
    redis: Redis
    records: JobRecords
    admission: SocketAdmission
    live: LiveMastery

    def open(self, path: str, of: str | None = None, **how: Any) -> connect:
        if of is not None:
            how["subprotocols"] = [Subprotocol("bearer"), Subprotocol(of)]
        return connect(f"ws://127.0.0.1:{self.port}{path}", open_timeout=WITHIN_S, **how)

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
async def served(
    live: type[LiveMastery] = LiveMastery, *, address: str = "1000/minute", **limits: int
) -> AsyncIterator[ServedSockets]:
    async with store() as redis:
        records = JobRecords(redis)
        watch = JobWatch(redis, records)
        admission = SocketAdmission(
            guard(redis),
            origins=[ORIGIN],
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
            yield ServedSockets(server.port, redis, records, admission, sockets.live)
        finally:
            await server.stop()
            await watch.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.01)


async def code(read: Callable[[], Awaitable[Any]]) -> int | None:
    """The code with which the other side closes, whatever it says before."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                await read()
            except ConnectionClosed as closed:
                return None if closed.rcvd is None else closed.rcvd.code


def event(tenant_id: str = "school-7", student_id: str = "student-42", **more: Any) -> str:
    return json.dumps({"data": {"tenant_id": tenant_id, "student_id": student_id, **more}})
