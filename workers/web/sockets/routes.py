"""The routes of the sockets: job progress and live mastery."""

from collections.abc import Collection
from contextlib import AsyncExitStack
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from workers.common.errors import StreamRefused, Unavailable
from workers.estimation.learner import LearnerKey
from workers.operations.jobs.progress_feed import JobWatch
from workers.operations.jobs.record import JobKey
from workers.operations.jobs.records import JobRecords
from workers.web.guard import Caller
from workers.web.jobs import find_job, require_role
from workers.web.sockets.admission import SocketAdmission, accept
from workers.web.sockets.mastery import LiveMastery, messages
from workers.web.sockets.serving import serve
from workers.web.students import learner_of

JOB_PATH: Final = "/v1/ws/jobs/{job_id}"
MASTERY_PATH: Final = "/v1/ws/students/{student_id:path}/mastery"


class Sockets:
    """The sockets of a process.

    Args:
        admission: admits callers.
        records: the records of jobs.
        watch: feeds the progress of jobs.
        live: reads the mastery streams.
        delegate_roles: roles that may follow any student of their tenant.
        job_roles: roles that may follow jobs of their tenant.

    Attributes:
        live: as given.
    """

    def __init__(
        self,
        *,
        admission: SocketAdmission,
        records: JobRecords,
        watch: JobWatch,
        live: LiveMastery,
        delegate_roles: Collection[str],
        job_roles: Collection[str],
    ) -> None:
        self._admission = admission
        self._records = records
        self._watch = watch
        self.live = live
        self._delegate_roles = frozenset(delegate_roles)
        self._job_roles = frozenset(job_roles)

    @property
    def routes(self) -> list[BaseRoute]:
        """The sockets, and plain routes at the same paths that explain a refusal."""
        return [
            WebSocketRoute(JOB_PATH, self._job),
            Route(JOB_PATH, self._job_plainly),
            WebSocketRoute(MASTERY_PATH, self._mastery),
            Route(MASTERY_PATH, self._mastery_plainly),
        ]

    async def _job(self, socket: WebSocket) -> None:
        caller, key = await self._of_job(socket)
        async with self._admission.inside_as(caller):
            await accept(socket)
            await serve(socket, self._watch.messages(key), expires_at_s=caller.expires_at_s)

    async def _job_plainly(self, request: Request) -> Any:
        await self._of_job(request)
        raise _no_socket()

    async def _of_job(self, connection: HTTPConnection) -> tuple[Caller, JobKey]:
        caller = await self._admission.caller(connection)
        require_role(caller, self._job_roles)
        record = await find_job(self._records, caller, connection.path_params["job_id"])
        return caller, record.key

    async def _mastery(self, socket: WebSocket) -> None:
        caller, key = await self._of_student(socket)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._admission.inside_as(caller))
            try:
                queue = await stack.enter_async_context(self.live.following(key))
            except (Unavailable, StreamRefused):
                raise HTTPException(
                    503,
                    "The streams can't be read at the moment: try again later.",
                    {"Retry-After": "5"},
                ) from None
            await accept(socket)
            await serve(
                socket,
                messages(queue),
                expires_at_s=caller.expires_at_s,
                overflowing=queue.overflowing,
            )

    async def _mastery_plainly(self, request: Request) -> Any:
        await self._of_student(request)
        raise _no_socket()

    async def _of_student(self, connection: HTTPConnection) -> tuple[Caller, LearnerKey]:
        caller = await self._admission.caller(connection)
        student_id = connection.path_params["student_id"]
        return caller, learner_of(caller, student_id, self._delegate_roles)


def _no_socket() -> HTTPException:
    return HTTPException(
        426, "This is a WebSocket: connect to it as one.", {"Upgrade": "websocket"}
    )
