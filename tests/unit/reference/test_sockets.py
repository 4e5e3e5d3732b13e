"""The document's sockets are those of the worker, with their messages and their tokens."""

import json

import pytest

from contracts.mastery import MasteryData
from contracts.progress import JobProgress
from workers.operations.jobs.record import JobKey, JobRecord, JobStatus
from workers.reference.asyncapi import build_document
from workers.reference.sockets import SOCKETS
from workers.web.sockets.routes import JOB_PATH, MASTERY_PATH

CONTENT = build_document().to_jsonable()
JOB = SOCKETS["jobProgress"].example["job_id"]


def test_given_the_routes_then_the_document_has_their_paths() -> None:
    routes = [MASTERY_PATH.replace(":path", ""), JOB_PATH]
    assert [CONTENT["channels"][key]["address"] for key in SOCKETS] == routes


def test_given_a_socket_then_its_servers_and_operations_ask_for_a_token() -> None:
    servers, schemes = CONTENT["servers"], CONTENT["components"]["securitySchemes"]
    for key, socket in SOCKETS.items():
        names = [
            server["$ref"].rpartition("/")[2] for server in CONTENT["channels"][key]["servers"]
        ]
        assert [servers[name]["protocol"] for name in names] == ["ws", "wss"]
        operation = CONTENT["operations"][socket.operation]
        asked = [scheme["$ref"].rpartition("/")[2] for scheme in operation["security"]]
        assert [schemes[name]["type"] for name in asked] == ["http", "httpApiKey"]


def test_given_the_streams_then_redis_asks_for_a_user_with_and_without_tls() -> None:
    for name in ("redis", "rediss"):
        server = CONTENT["servers"][name]
        assert server["protocol"] == name
        assert server["security"] == [{"$ref": "#/components/securitySchemes/redisUser"}]


def test_given_the_examples_then_the_models_take_them() -> None:
    JobProgress.model_validate_json(json.dumps(SOCKETS["jobProgress"].example))
    MasteryData.model_validate_json(json.dumps(SOCKETS["liveMastery"].example))


@pytest.mark.parametrize("status", JobStatus)
def test_given_a_job_then_its_progress_message_is_the_documented_one(status: JobStatus) -> None:
    record = JobRecord(
        JobKey("school-7", JOB),
        "verify",
        {},
        "ann",
        "2026-11-21T09:30:00.000Z",
        status=status,
        progress=0.5,
        result={"learners": 3} if status is JobStatus.SUCCEEDED else None,
        problem="cancelled by ann" if status is JobStatus.CANCELLED else None,
    )
    sent = record.progress_message()
    read = JobProgress.model_validate_json(json.dumps(sent))
    assert read.model_dump(mode="json", exclude_none=True) == sent
