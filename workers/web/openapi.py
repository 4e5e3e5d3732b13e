"""The OpenAPI 3.1 document of `/v1`, made from the models of its bodies."""

import json
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from workers.common.version import package_version
from workers.web.answers import (
    ErrorAnswer,
    Job,
    JobPage,
    MasteryPage,
    RejectedList,
    RejectedWhole,
)
from workers.web.jobs import JobBody
from workers.web.paging import LARGEST_PAGE, PAGE
from workers.web.requests import HEADER

PATH: Final = "/v1/openapi.json"

_DESCRIPTION: Final = """\
Current values of students, dead letters, and long jobs. The events themselves are described by
`asyncapi.yaml`.

Live changes of a student come over the WebSocket `/v1/ws/students/{student_id}/mastery`, the
progress of a job over `/v1/ws/jobs/{job_id}`; both take the token as the subprotocols `bearer` and
TOKEN.

The token names the tenant. Data of another tenant do not exist for it."""

_MODELS: Final[tuple[type[BaseModel], ...]] = (
    MasteryPage,
    Job,
    JobPage,
    JobBody,
    RejectedList,
    RejectedWhole,
    ErrorAnswer,
)
_ERRORS: Final = {
    401: "The token is missing, or refused.",
    403: "The role, or the student of the token, is not allowed.",
    404: "The tenant has no such job or dead letter.",
    409: "The id belongs to another job, or the job has ended otherwise.",
    413: "The body, or the token, is too large.",
    422: "A parameter, or the body, is not valid; the message names the field and the remedy.",
    429: "Too many requests; `Retry-After` gives the wait in seconds.",
    503: "No key is configured, or a server is away.",
}
_ALWAYS: Final = (401, 403, 429, 503)


def openapi_document() -> dict[str, Any]:
    """Return the document as JSON values; the same code gives the same document."""
    _, schemas = models_json_schema(
        [(model, "serialization") for model in _MODELS],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mastery Engine",
            "version": package_version(),
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "A worker, at HTTP_HOST:HTTP_PORT."}],
        "security": [{"bearer": []}],
        "tags": [
            {"name": "mastery", "description": "What students know now."},
            {"name": "rejections", "description": "Events that were refused."},
            {"name": "jobs", "description": "Long jobs, for the roles in `JOB_ROLES`."},
        ],
        "paths": _paths(),
        "components": {
            "schemas": dict(sorted(schemas["$defs"].items())),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of the issuer, always verified.",
                }
            },
        },
    }


def openapi_text() -> str:
    """Return the document as text, the content of ``openapi.json``."""
    return json.dumps(openapi_document(), indent=2, ensure_ascii=False) + "\n"


def openapi_routes() -> list[BaseRoute]:
    """Return the route that serves the document, to everybody."""
    text = openapi_text()

    async def document(_: Request) -> Response:
        return Response(text, media_type="application/json")

    return [Route(PATH, document)]


def _paths() -> dict[str, Any]:
    return {
        "/v1/students/{student_id}/mastery": {
            "get": _operation(
                "readMastery",
                "mastery",
                "Read a student's current mastery and abilities.",
                "The student, or a role in `JWT_DELEGATE_ROLES`. A student without an answer has "
                "empty lists. Read all pages, then the stream after `positions`: keep the highest "
                "`version` of each concept, and nothing is missing.",
                answers={200: ("A page of current values.", MasteryPage)},
                parameters=[_path_parameter("student_id", "The student."), *_PAGING],
                errors=(422,),
            )
        },
        "/v1/rejected": {
            "get": _operation(
                "listRejected",
                "rejections",
                "List the tenant's newest dead letters.",
                "A role in `JOB_ROLES`. At most 50, among the newest 200 of all tenants.",
                answers={200: ("Dead letters, newest first.", RejectedList)},
                parameters=[],
                errors=(),
            )
        },
        "/v1/rejected/{id}": {
            "get": _operation(
                "readRejected",
                "rejections",
                "Read a dead letter with its event.",
                "A role in `JOB_ROLES`. Tokens are replaced.",
                answers={200: ("The dead letter.", RejectedWhole)},
                parameters=[_path_parameter("id", "The dead letter, as the list names it.")],
                errors=(404,),
            )
        },
        "/v1/jobs": {
            "get": _operation(
                "listJobs",
                "jobs",
                "List the tenant's jobs, newest first.",
                "A role in `JOB_ROLES`.",
                answers={200: ("A page of jobs.", JobPage)},
                parameters=_PAGING,
                errors=(422,),
            ),
            "post": {
                **_operation(
                    "requestJob",
                    "jobs",
                    "Request a job.",
                    "A role in `JOB_ROLES`. `job_id` is the idempotency key: the same request "
                    "again answers with the job as it is.",
                    answers={202: ("The job.", Job)},
                    parameters=[],
                    errors=(409, 413, 422),
                ),
                "requestBody": {"required": True, "content": _content(JobBody)},
            },
        },
        "/v1/jobs/{job_id}": {
            "get": _operation(
                "readJob",
                "jobs",
                "Read a job.",
                "A role in `JOB_ROLES`.",
                answers={200: ("The job.", Job)},
                parameters=[_path_parameter("job_id", "The job, a UUID.")],
                errors=(404,),
            ),
            "delete": _operation(
                "cancelJob",
                "jobs",
                "Cancel a job.",
                "A role in `JOB_ROLES`. A cancelled job stays cancelled.",
                answers={200: ("The cancelled job.", Job)},
                parameters=[_path_parameter("job_id", "The job, a UUID.")],
                errors=(404, 409),
            ),
        },
    }


def _operation(
    name: str,
    tag: str,
    summary: str,
    description: str,
    *,
    answers: dict[int, tuple[str, type[BaseModel]]],
    parameters: list[dict[str, Any]],
    errors: tuple[int, ...],
) -> dict[str, Any]:
    responses: dict[str, Any] = {
        str(status): {"description": text, "headers": _REQUEST_ID, "content": _content(model)}
        for status, (text, model) in answers.items()
    }
    for status in sorted((*_ALWAYS, *errors)):
        responses[str(status)] = {
            "description": _ERRORS[status],
            "headers": _REQUEST_ID,
            "content": _content(ErrorAnswer),
        }
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "description": description,
        "parameters": [*parameters, _REQUEST_ID_PARAMETER],
        "responses": responses,
    }


def _content(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"application/json": {"schema": schema}}


def _path_parameter(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


_REQUEST_ID_PARAMETER: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "description": "1 to 128 visible ASCII characters; made if absent.",
    "schema": {"type": "string"},
}
_REQUEST_ID: Final[dict[str, Any]] = {
    HEADER: {"description": "The id of the request.", "schema": {"type": "string"}}
}
_PAGING: Final[list[dict[str, Any]]] = [
    {
        "name": "limit",
        "in": "query",
        "description": "The most rows of a page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE},
    },
    {
        "name": "cursor",
        "in": "query",
        "description": "`next_cursor` of the page before.",
        "schema": {"type": "string"},
    },
]
