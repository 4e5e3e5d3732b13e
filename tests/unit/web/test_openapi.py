"""The OpenAPI document: it has the routes that are served, and the answers that they give."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from starlette.routing import Route

from tests.support.dead_letters import reject
from tests.support.factories import uuid_of
from tests.support.http_callers import bearer, client_of, guard, operator, store
from tests.support.served_jobs import jobs_of, served
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.dead_letters.reading import DeadLetters
from workers.web.answers import Job, JobPage, RejectedList, RejectedWhole
from workers.web.http import application
from workers.web.mastery import StudentMastery
from workers.web.openapi import PATH, openapi_document, openapi_routes
from workers.web.rejected import Rejected

_ROOT = Path(__file__).parents[3]


def _rejected(redis: Redis) -> Rejected:
    return Rejected(
        guard=guard(redis),
        letters=lambda: DeadLetters(redis, 0, "tenant_id"),
        roles=("service_role",),
    )


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


async def test_given_the_document_then_its_paths_are_the_routes_of_v1() -> None:
    async with store() as redis:
        mastery = StudentMastery(
            guard=guard(redis),
            ledger=MemoryLedger(),
            client=redis,
            shard_count=0,
            delegate_roles=(),
        )
        routes = [*jobs_of(redis).routes, *mastery.routes, *_rejected(redis).routes]
        served_ = {
            (re.sub(r":\w+", "", route.path), method.lower())
            for route in routes
            if isinstance(route, Route)
            for method in route.methods or ()
            if method != "HEAD"
        }
    described = {
        (path, method) for path, item in openapi_document()["paths"].items() for method in item
    }

    assert described == served_


def test_given_the_document_then_each_reference_and_parameter_exists() -> None:
    document = openapi_document()
    schemas = document["components"]["schemas"]
    names = {reference.rpartition("/")[2] for reference in _references(document)}

    assert names <= set(schemas)
    for path, item in document["paths"].items():
        for operation in item.values():
            declared = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))
            assert {"401", "403", "429", "503"} <= set(operation["responses"])


async def test_given_the_served_document_then_it_is_the_kept_file() -> None:
    async with client_of(application(openapi_routes())) as client:
        answer = await client.get(PATH)

    assert answer.headers["content-type"] == "application/json"
    assert answer.text == (_ROOT / "openapi.json").read_text("utf-8")
    assert json.loads(answer.text)["openapi"] == "3.1.0"


async def test_given_answers_about_rejections_then_they_are_as_described() -> None:
    async with store() as redis, client_of(application(_rejected(redis).routes)) as client:
        await reject(redis, 2)
        client.headers.update(bearer(operator()))
        listed = RejectedList.model_validate_json((await client.get("/v1/rejected")).content)
        one = await client.get(f"/v1/rejected/{listed.rejected[0].id}")

    assert [entry.code for entry in listed.rejected] == ["conflict", "conflict"]
    assert RejectedWhole.model_validate_json(one.content).event is not None


async def test_given_answers_about_jobs_then_they_are_as_described() -> None:
    body = {"kind": "verify", "job_id": uuid_of("job")}
    async with store() as redis, served(redis) as client:
        asked = await client.post("/v1/jobs", json=body)
        listed = await client.get("/v1/jobs")
        cancelled = await client.delete(f"/v1/jobs/{uuid_of('job')}")

    assert Job.model_validate_json(asked.content).status == "queued"
    assert len(JobPage.model_validate_json(listed.content).jobs) == 1
    assert Job.model_validate_json(cancelled.content).status == "cancelled"
