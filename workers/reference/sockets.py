"""The WebSocket channels of the AsyncAPI document."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from contracts import MasteryChanged
from contracts.progress import JobProgress
from workers.reference.examples import EXAMPLES
from workers.reference.servers import SOCKET_SECURITY, SOCKET_SERVERS

_JOB_ID: Final = "0193da5e-7d11-7e4c-a2b3-6c5d4e3f2a10"


@dataclass(frozen=True)
class Socket:
    """A socket with the facts and texts that its route does not give by itself."""

    path: str
    parameters: dict[str, str]
    """Descriptions of the parameters in the path, by name."""
    message: str
    schema: str
    """The schema of a message, in the components."""
    operation: str
    tag: str
    summary: str
    description: str
    audience: str
    """Callers who may connect."""
    example: dict[str, Any]


SOCKETS: Final[dict[str, Socket]] = {
    "liveMastery": Socket(
        path="/v1/ws/students/{student_id}/mastery",
        parameters={"student_id": "The student, percent-encoded."},
        message="LiveMastery",
        schema="MasteryData",
        operation="sendLiveMastery",
        tag="mastery",
        summary="A student's mastery changed while a page follows it.",
        description="The `data` of each `practice.mastery.changed.v1` of one student, from the "
        "moment of connecting on. Connect, then read the current values, then apply messages with "
        "a higher `version`.",
        audience="The student, or a role in `JWT_DELEGATE_ROLES` of the same tenant.",
        example=EXAMPLES[MasteryChanged.TYPE]["data"],
    ),
    "jobProgress": Socket(
        path="/v1/ws/jobs/{job_id}",
        parameters={"job_id": "The job, as `POST /v1/jobs` answered it."},
        message="JobProgress",
        schema="JobProgress",
        operation="sendJobProgress",
        tag="operation",
        summary="A job made progress.",
        description="The current state at once, then each change; a slow client gets the newest. "
        "The socket closes with code 1000 when the job has ended.",
        audience="A role in `JOB_ROLES` of the job's tenant.",
        example={
            "job_id": _JOB_ID,
            "progress": 0.4,
            "step": 400,
            "total_steps": 1000,
            "payload": {"kind": "verify", "status": "running"},
        },
    ),
}


def socket_channels() -> dict[str, Any]:
    """Return the channels of the sockets."""
    return {
        key: {
            "address": socket.path,
            "title": socket.path,
            "summary": socket.summary,
            "description": f"{socket.description}\n\nWho may connect: {socket.audience}",
            "servers": [{"$ref": f"#/servers/{name}"} for name in SOCKET_SERVERS],
            "parameters": {name: {"description": text} for name, text in socket.parameters.items()},
            "messages": {
                socket.message: {"$ref": f"#/components/messages/{socket.message}"},
            },
            "tags": [{"name": socket.tag}],
            "bindings": {"ws": {"method": "GET"}},
        }
        for key, socket in SOCKETS.items()
    }


def socket_operations() -> dict[str, Any]:
    """Return the operations of the sockets."""
    return {
        socket.operation: {
            "action": "send",
            "channel": {"$ref": f"#/channels/{key}"},
            "title": socket.operation,
            "summary": f"The engine sends: {socket.summary}",
            "description": f"Read only: the engine ignores what a client sends, and closes a "
            f"talkative one with 1008. {socket.audience}",
            "security": [{"$ref": f"#/components/securitySchemes/{n}"} for n in SOCKET_SECURITY],
            "tags": [{"name": socket.tag}],
            "messages": [{"$ref": f"#/channels/{key}/messages/{socket.message}"}],
        }
        for key, socket in SOCKETS.items()
    }


def socket_messages() -> dict[str, Any]:
    """Return the messages of the sockets."""
    return {
        socket.message: {
            "name": socket.message,
            "title": socket.message,
            "summary": socket.summary,
            "contentType": "application/json",
            "tags": [{"name": socket.tag}],
            "payload": {"$ref": f"#/components/schemas/{socket.schema}"},
            "examples": [
                {"name": socket.message, "summary": socket.summary, "payload": socket.example}
            ],
        }
        for socket in SOCKETS.values()
    }


def socket_schemas() -> dict[str, Any]:
    """Return the schemas of messages that no stream has."""
    _, made = models_json_schema(
        [(JobProgress, "validation")], ref_template="#/components/schemas/{model}"
    )
    return dict(made["$defs"])
