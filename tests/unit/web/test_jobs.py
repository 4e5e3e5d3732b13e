"""`/v1/jobs`, request by request, over the embedded Redis."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from starlette.middleware import Middleware

from contracts.jobs import JobRequested
from contracts.streams import JOBS
from tests.support.factories import uuid_of
from tests.support.http_callers import (
    Verifier,
    bearer,
    client_of,
    error_of,
    guard,
    operator,
    store,
    token,
)
from workers.app.http import cors
from workers.common.errors import RedisUnavailable
from workers.operations.jobs import records as module
from workers.operations.jobs.record import JobKey, JobStatus
from workers.operations.jobs.records import JobRecords
from workers.web.http import application
from workers.web.jobs import Jobs

_JOB = uuid_of("job", 1)
_ORIGIN = "https://app.example"


def jobs_of(
    redis: Redis, records: JobRecords | None = None, verifier: Verifier | None = None
) -> Jobs:
    return Jobs(
        guard=guard(redis, verifier),
        records=records or JobRecords(redis),
        roles=("service_role",),
        max_event_bytes=4_096,
    )


@asynccontextmanager
async def _served(
    redis: Redis, *, middleware: tuple[Middleware, ...] = (), verifier: Verifier | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    jobs = jobs_of(redis, verifier=verifier)
    async with client_of(application(jobs.routes, middleware)) as client:
        client.headers.update(bearer(operator()))
        yield client


async def test_given_a_request_when_posted_then_it_is_recorded_and_published_once() -> None:
    async with store() as redis, _served(redis) as client:
        body = {"kind": "rebuild", "parameters": {"dry_run": True}, "job_id": _JOB.upper()}
        first = await client.post("/v1/jobs", json=body, headers={"X-Request-ID": "req-7"})
        again = await client.post("/v1/jobs", json=body)
        published: Any = await redis.xrange(JOBS)
        sent = client.headers["authorization"]

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.headers["location"] == f"/v1/jobs/{_JOB}"
    assert first.headers["cache-control"] == "no-store"
    assert first.json() == again.json()
    assert first.json() == {
        "job_id": _JOB,
        "kind": "rebuild",
        "parameters": {"dry_run": True},
        "status": "queued",
        "progress": 0.0,
        "step": 0,
        "total_steps": 0,
        "result": None,
        "problem": None,
        "requested_by": "operator-1",
        "requested_at": first.json()["requested_at"],
        "started_at": None,
        "ended_at": None,
    }
    ((_, fields),) = published
    event = JobRequested.model_validate_json(fields[b"event"])
    assert (event.data.job_id, event.correlationid) == (_JOB, "req-7")
    assert sent == f"Bearer {event.data.token}"
    assert (event.data.claims.sub, event.data.claims.role) == ("operator-1", "service_role")


async def test_given_more_than_an_event_may_hold_when_posted_then_it_is_refused_at_once() -> None:
    async with store() as redis, _served(redis) as client:
        body = {"kind": "calibrate", "parameters": {"note": "\U0001f600" * 1_000}}
        answer = await client.post("/v1/jobs", json=body)
        assert not await redis.exists(JOBS)
        assert (await client.get("/v1/jobs")).json()["jobs"] == []

    assert error_of(answer)["code"] == "too_large"
    assert "MAX_EVENT_BYTES=4096" in error_of(answer)["message"]


async def test_given_a_queued_job_whose_entry_is_lost_when_posted_again_then_it_is_published_again(
) -> None:  # fmt: skip
    async with store() as redis, _served(redis) as client:
        body = {"kind": "verify", "job_id": _JOB}
        first = await client.post("/v1/jobs", json=body)
        await redis.delete(JOBS)
        again = await client.post("/v1/jobs", json=body)
        once_more = await client.post("/v1/jobs", json=body)
        published = await redis.xlen(JOBS)

    assert first.json() == again.json() == once_more.json()
    assert published == 1


async def test_given_no_id_when_posted_then_one_is_made_each_time() -> None:
    async with store() as redis, _served(redis) as client:
        ids = {(await client.post("/v1/jobs", json={"kind": "verify"})).json()["job_id"]
               for _ in range(2)}  # fmt: skip
        assert len(ids) == 2
        for job_id in ids:
            assert (await client.get(f"/v1/jobs/{job_id}")).json()["job_id"] == job_id


async def test_given_an_id_in_use_when_something_else_is_asked_then_it_is_a_conflict() -> None:
    async with store() as redis, _served(redis) as client:
        await client.post("/v1/jobs", json={"kind": "verify", "job_id": _JOB})
        other = await client.post("/v1/jobs", json={"kind": "rebuild", "job_id": _JOB})
        theirs = await client.post(
            "/v1/jobs",
            json={"kind": "rebuild", "job_id": _JOB},
            headers=bearer(operator("school-8")),
        )

    assert error_of(other)["code"] == "conflict"
    assert _JOB in error_of(other)["message"]
    # Which ids another tenant uses is nobody's business.
    assert theirs.status_code == 202


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[]", "the body is JSON, but not an object"),
        (b"{}", "kind is missing: add it"),
        ({"kind": "erase"}, "kind is 'erase'"),
        ({"kind": 7}, "kind is 7"),
        ({"kind": "verify", "job_id": "7"}, "job_id is '7'"),
        ({"kind": "verify", "why": 1}, "why is unknown: leave it out"),
        ({"kind": "verify", "parameters": []}, "parameters is a list"),
        ({"kind": "verify", "parameters": {"dry_run": True}}, "parameters.dry_run is unknown"),
        ({"kind": "rebuild", "parameters": {"dry_run": "yes"}}, "parameters.dry_run is 'yes'"),
        ({"kind": "verify", "parameters": {"student_id": ""}}, "parameters.student_id is ''"),
        ({"kind": "x" * 500, "job_id": "y"}, "…"),
        ({"kind": "calibrate", "parameters": {"x": 10**30}}, "at most 64 bits"),
        (b'{"kind": ' + b"9" * 300 + b"}", "very many digits"),
    ],
)
async def test_given_a_wrong_body_when_posted_then_field_value_and_remedy_are_named(
    body: bytes | dict[str, Any], words: str
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with store() as redis, _served(redis) as client:
        answer = await client.post("/v1/jobs", content=content)
        assert await redis.exists(JOBS) == 0

    assert error_of(answer)["code"] == "invalid"
    assert words in error_of(answer)["message"]
    assert len(answer.content) < 600


async def test_given_a_job_when_deleted_then_it_is_cancelled_once_and_stays_to_be_seen() -> None:
    async with store() as redis, _served(redis) as client:
        await client.post("/v1/jobs", json={"kind": "verify", "job_id": _JOB})
        first = await client.delete(f"/v1/jobs/{_JOB}")
        again = await client.delete(f"/v1/jobs/{_JOB}")
        seen = await client.get(f"/v1/jobs/{_JOB}")
        posted = await client.post("/v1/jobs", json={"kind": "verify", "job_id": _JOB})
        none = await client.delete(f"/v1/jobs/{uuid_of('none')}")
        others = bearer(operator("school-8"))
        foreign = await client.delete(f"/v1/jobs/{_JOB}", headers=others)
        refused = await client.delete(f"/v1/jobs/{_JOB}", headers=bearer(token("ann")))
    assert first.status_code == 200
    assert (first.json()["status"], first.json()["problem"]) == (
        "cancelled",
        "cancelled by operator-1",
    )
    assert again.json() == seen.json() == posted.json() == first.json()
    assert (none.status_code, foreign.status_code, refused.status_code) == (404, 404, 403)


async def test_given_a_job_that_has_ended_when_deleted_then_it_is_a_conflict() -> None:
    async with store() as redis, _served(redis) as client:
        await client.post("/v1/jobs", json={"kind": "verify", "job_id": _JOB})
        records = JobRecords(redis)
        key = JobKey("school-7", _JOB)
        run, record = await records.begin(key, "run"), await records.find(key)
        assert run is not None
        assert record is not None
        await records.note(run, replace(record, status=JobStatus.SUCCEEDED))
        answer = await client.delete(f"/v1/jobs/{_JOB}")
    assert answer.status_code == 409
    assert "has ended" in error_of(answer)["message"]


async def test_given_a_job_forgotten_or_redis_away_when_deleted_then_it_is_said() -> None:
    class Forgetful(JobRecords):
        async def cancel(self, key: Any, by: str) -> Any:
            await self.remove([key])
            return await super().cancel(key, by)

    class Away(JobRecords):
        async def cancel(self, *_: Any) -> Any:
            raise RedisUnavailable("gone")

    async with store() as redis:
        for records, status in ((Away(redis), 503), (Forgetful(redis), 404)):
            async with client_of(application(jobs_of(redis, records).routes)) as client:
                client.headers.update(bearer(operator()))
                await client.post("/v1/jobs", json={"kind": "verify", "job_id": _JOB})
                answer = await client.delete(f"/v1/jobs/{_JOB}")
            assert answer.status_code == status


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/jobs"), ("GET", "/v1/jobs"), ("GET", f"/v1/jobs/{_JOB}")]
)
async def test_given_another_role_when_jobs_are_asked_for_then_it_may_not(
    method: str, path: str
) -> None:
    async with store() as redis, _served(redis) as client:
        forbidden = await client.request(method, path, headers=bearer(token()))
        nobody = await client.request(method, path, headers={"Authorization": ""})

    assert error_of(forbidden)["code"] == "forbidden"
    assert "JOB_ROLES" in error_of(forbidden)["message"]
    assert error_of(nobody)["code"] == "unauthenticated"
    assert nobody.headers["www-authenticate"].startswith("Bearer")


async def test_given_jobs_of_two_tenants_when_listed_then_each_sees_its_own_page_by_page() -> None:
    async with store() as redis, _served(redis) as client:
        mine = [
            (await client.post("/v1/jobs", json={"kind": "verify"})).json()["job_id"]
            for _ in range(5)
        ]
        theirs = bearer(operator("school-8"))
        await client.post("/v1/jobs", json={"kind": "verify", "job_id": _JOB}, headers=theirs)
        seen, cursor = [], None
        while True:
            params = {"limit": "2"} | ({} if cursor is None else {"cursor": cursor})
            page = (await client.get("/v1/jobs", params=params)).json()
            seen += [job["job_id"] for job in page["jobs"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert seen == mine[::-1]
        other = (await client.get("/v1/jobs", headers=theirs)).json()
        assert [job["job_id"] for job in other["jobs"]] == [_JOB]
        hidden = await client.get(f"/v1/jobs/{_JOB}")
        assert error_of(hidden)["code"] == "not_found"
        assert "POST /v1/jobs" in error_of(hidden)["message"]


@pytest.mark.parametrize(
    "path", [f"{_JOB}:urn:school", f"{_JOB}%3Aurn%3Aschool", "7", "%00", f"urn:uuid:{_JOB}", "é"]
)
async def test_given_a_tenant_with_colons_when_another_asks_around_them_then_there_is_nothing(
    path: str,
) -> None:
    async with store() as redis, _served(redis) as client:
        theirs = bearer(operator("urn:school:7"))
        body = {"kind": "verify", "job_id": _JOB}
        made = await client.post("/v1/jobs", json=body, headers=theirs)
        own = await client.get(f"/v1/jobs/{_JOB}", headers=theirs)
        answer = await client.get(f"/v1/jobs/{path}", headers=bearer(operator("7")))

    assert (made.status_code, own.status_code) == (202, 200)
    assert error_of(answer)["code"] == "not_found"


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=9999", "cursor=x", "cursor=W10=", "cursor=%C3%A4"],
)
async def test_given_a_wrong_query_when_listed_then_it_is_said(query: str) -> None:
    async with store() as redis, _served(redis) as client:
        answer = await client.get(f"/v1/jobs?{query}")

    assert error_of(answer)["code"] == "invalid"
    assert error_of(answer)["message"].startswith(query[:5])


async def test_given_as_many_jobs_as_may_be_when_one_more_is_asked_then_the_ended_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PER_TENANT", 3)
    async with store() as redis, _served(redis) as client:
        ids = [
            (await client.post("/v1/jobs", json={"kind": "verify"})).json()["job_id"]
            for _ in range(3)
        ]
        full = await client.post("/v1/jobs", json={"kind": "verify"})
        records = JobRecords(redis)
        (record, *_), _ = await records.page("school-7", 1)
        run = await records.begin(record.key, "run")
        assert run is not None
        await redis.hset(f"{{{JOBS}}}:record:{ids[1]}:school-7", "status", "failed")
        one_more = await client.post("/v1/jobs", json={"kind": "verify"})
        left = [job["job_id"] for job in (await client.get("/v1/jobs")).json()["jobs"]]

    assert error_of(full)["code"] == "rate_limited"
    assert int(full.headers["retry-after"]) > 0
    assert one_more.status_code == 202
    assert left == [one_more.json()["job_id"], ids[2], ids[0]]


async def test_given_redis_away_when_asked_then_it_is_said_and_not_a_failure() -> None:
    class Away(JobRecords):
        async def find(self, key: Any) -> Any:
            raise RedisUnavailable(str(key))

        async def page(self, *_: Any, **__: Any) -> Any:
            raise RedisUnavailable("away")

        async def open(self, *_: Any, **__: Any) -> Any:
            raise RedisUnavailable("away")

    async with store() as redis:
        jobs = jobs_of(redis, Away(redis))
        async with client_of(application(jobs.routes)) as client:
            client.headers.update(bearer(operator()))
            answers = [
                await client.get("/v1/jobs"),
                await client.post("/v1/jobs", json={"kind": "verify"}),
                await client.get(f"/v1/jobs/{_JOB}"),
            ]

    for answer in answers:
        assert error_of(answer)["code"] == "unavailable"
        assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (_ORIGIN, True),
        ("https://app.example.evil.example", False),
        ("http://app.example", False),
        ("https://app.example:8443", False),
        ("null", False),
    ],
)
async def test_given_a_page_when_it_calls_then_only_the_listed_origin_may(
    origin: str, allowed: bool
) -> None:
    async with store() as redis, _served(redis, middleware=(cors([_ORIGIN]),)) as client:
        preflight = await client.options(
            "/v1/jobs",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, content-type, x-request-id",
            },
        )
        refused = await client.post("/v1/jobs", content=b"{", headers={"Origin": origin})

    expected = origin if allowed else None
    assert preflight.status_code == (200 if allowed else 400)
    for answer in (preflight, refused):
        assert answer.headers.get("access-control-allow-origin") == expected
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["x-request-id"]
    assert refused.status_code == 422


async def test_given_no_origins_when_a_page_calls_then_nothing_is_said_of_origins() -> None:
    async with store() as redis, _served(redis) as client:
        answer = await client.get("/v1/jobs", headers={"Origin": _ORIGIN})

    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
