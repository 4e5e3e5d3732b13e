"""`/v1/jobs`: ask for jobs, list, show and cancel them."""

from collections.abc import Collection
from http import HTTPStatus
from typing import Final
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.jobs import JobKind, JobRequested
from contracts.primitives import Uuid
from contracts.streams import EVENT_FIELD
from workers.admission.reasons import reason_of
from workers.common.errors import Refused, Unavailable
from workers.operations.jobs.admission import UUID, require_job_role
from workers.operations.jobs.kinds.registry import parameters_of
from workers.operations.jobs.record import JobKey, JobRecord, JobRequest, JobStatus
from workers.operations.jobs.records import JobRecords
from workers.web.guard import Caller, Guard
from workers.web.paging import bad_cursor, cursor_of, limit_of, place_of

SOURCE: Final = "/mastery-engine/http"

_AGAIN_S: Final = 60
_TOO_MANY: Final = HTTPStatus.TOO_MANY_REQUESTS


class JobBody(BaseModel):
    """The body of ``POST /v1/jobs``."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: JobKind
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    job_id: Uuid | None = None


class Jobs:
    """The routes below ``/v1/jobs``.

    Args:
        guard: identifies callers.
        records: the records of jobs.
        roles: the roles that may ask.
        max_event_bytes: largest entry of the stream of requests, in bytes of all its fields.
    """

    def __init__(
        self,
        *,
        guard: Guard,
        records: JobRecords,
        roles: Collection[str],
        max_event_bytes: int,
    ) -> None:
        self._guard = guard
        self._records = records
        self._roles = frozenset(roles)
        self._max_event_bytes = max_event_bytes

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes for Starlette."""
        return [
            Route("/v1/jobs", self._all, methods=["GET", "POST"]),
            Route("/v1/jobs/{job_id}", self._one, methods=["GET", "DELETE"]),
        ]

    async def _all(self, request: Request) -> Response:
        caller = await self._guard.of_request(request)
        require_role(caller, self._roles)
        try:
            if request.method == "POST":
                return await self._ask(request, caller)
            return await self._list(request, caller)
        except Unavailable:
            raise _away() from None

    async def _ask(self, request: Request, caller: Caller) -> Response:
        try:
            body = JobBody.model_validate_json(await request.body())
            parameters_of(body.kind, body.parameters)
        except ValidationError as error:
            raise _invalid(reason_of(error)) from None
        except ValueError as error:
            raise _invalid(str(error)) from None
        job_id = body.job_id or str(uuid4())
        key = JobKey(caller.identity.tenant_id, job_id)
        asked = JobRequest(key, body.kind, body.parameters, caller.identity.subject)
        event = _event(asked, caller, request.state.request_id)
        if len(EVENT_FIELD) + len(event) > self._max_event_bytes:
            raise HTTPException(
                413,
                f"The request and its token make an event of {len(event)} bytes, more than "
                f"MAX_EVENT_BYTES={self._max_event_bytes}: send fewer parameters.",
            )
        try:
            record = await self._records.open(asked, event)
        except Refused as refusal:
            again = {"Retry-After": str(_AGAIN_S)} if refusal.code.status == _TOO_MANY else None
            raise HTTPException(refusal.code.status, f"{refusal.reason}.", again) from None
        return JSONResponse(
            record.to_jsonable(),
            HTTPStatus.ACCEPTED,
            headers={"Location": f"/v1/jobs/{job_id}"},
        )

    async def _list(self, request: Request, caller: Caller) -> Response:
        limit = limit_of(request.query_params.get("limit"))
        before = _place(request.query_params.get("cursor"))
        records, following = await self._records.page(caller.identity.tenant_id, limit, before)
        return JSONResponse(
            {
                "jobs": [record.to_jsonable() for record in records],
                "next_cursor": None if following is None else cursor_of(following),
            }
        )

    async def _one(self, request: Request) -> Response:
        caller = await self._guard.of_request(request)
        require_role(caller, self._roles)
        record = await find_job(self._records, caller, request.path_params["job_id"])
        if request.method == "DELETE":
            record = await self._cancel(record, caller)
        return JSONResponse(record.to_jsonable())

    async def _cancel(self, record: JobRecord, caller: Caller) -> JobRecord:
        try:
            cancelled = await self._records.cancel(record.key, caller.identity.subject)
        except Unavailable:
            raise _away() from None
        if cancelled is None:
            raise _no_such_job()
        if cancelled.status is not JobStatus.CANCELLED:
            raise HTTPException(409, f"The job has ended already: it {cancelled.status.value}.")
        return cancelled


def require_role(caller: Caller, roles: Collection[str]) -> None:
    """Raise unless the caller may ask for jobs and see them.

    Raises:
        HTTPException: 403.
    """
    try:
        require_job_role(caller.identity, roles)
    except Refused as refusal:
        raise HTTPException(403, f"{refusal.reason[:1].upper()}{refusal.reason[1:]}.") from None


async def find_job(records: JobRecords, caller: Caller, job_id: str) -> JobRecord:
    """Return a job of the caller's tenant.

    Raises:
        HTTPException: 404 if the tenant has none of that id; 503 if Redis is away.
    """
    try:
        record = await records.find(JobKey(caller.identity.tenant_id, UUID.validate_python(job_id)))
    except ValidationError:
        record = None
    except Unavailable:
        raise _away() from None
    if record is None:
        raise _no_such_job()
    return record


def _no_such_job() -> HTTPException:
    return HTTPException(
        404, "Not found: there is no job with this id. Make one with POST /v1/jobs."
    )


def _event(asked: JobRequest, caller: Caller, request_id: str) -> bytes:
    """Return the request in the form that every publisher uses."""
    event = JobRequested.model_validate(
        {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": SOURCE,
            "type": JobRequested.TYPE,
            "subject": asked.key.job_id,
            "correlationid": request_id,
            "data": {
                "job_id": asked.key.job_id,
                "kind": asked.kind,
                "parameters": asked.parameters,
                "claims": caller.claims,
                "token": caller.token,
            },
        }
    )
    return event.model_dump_json(exclude_none=True).encode()


def _place(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    try:
        moment_us, job_id = place_of(cursor)
        return int(moment_us), str(job_id)
    except (ValueError, TypeError):
        raise bad_cursor() from None


def _invalid(sentence: str) -> HTTPException:
    return HTTPException(422, f"{sentence}.")


def _away() -> HTTPException:
    return HTTPException(
        503, "Redis can't be reached at the moment: try again later.", {"Retry-After": "5"}
    )
