"""`/v1/jobs`, request by request, over the embedded Redis."""

import json
from dataclasses import replace
from typing import Any

import pytest

from contracts.jobs import JobRequested
from contracts.streams import JOBS
from tests.support.factories import uuid_of
from tests.support.http_callers import bearer, client_of, error_of, operator, store, token
from tests.support.served_jobs import jobs_of
from tests.support.served_jobs import served as _served
from workers.common.errors import RedisUnavailable
from workers.operations.jobs import records as module
from workers.operations.jobs.record import JobKey, JobStatus
from workers.operations.jobs.records import JobRecords
from workers.web.http import application

_JOB = uuid_of("job", 1)


async def test_given_a_posted_request_then_it_is_recorded_and_published_once() -> None:
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


async def test_given_more_than_an_event_may_hold_then_it_is_refused_at_once() -> None:
    async with store() as redis, _served(redis) as client:
        body = {"kind": "calibrate", "parameters": {"note": "\U0001f600" * 1_000}}
        answer = await client.post("/v1/jobs", json=body)
        assert not await redis.exists(JOBS)
        assert (await client.get("/v1/jobs")).json()["jobs"] == []

    assert error_of(answer)["code"] == "too_large"
    assert "MAX_EVENT_BYTES=4096" in error_of(answer)["message"]


async def test_given_a_queued_job_without_its_entry_then_a_repost_publishes_it(
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


async def test_given_an_id_in_use_for_something_else_then_it_is_a_conflict() -> None:
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
async def test_given_a_wrong_body_then_field_value_and_remedy_are_named(
    body: bytes | dict[str, Any], words: str
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with store() as redis, _served(redis) as client:
        answer = await client.post("/v1/jobs", content=content)
        assert await redis.exists(JOBS) == 0

    assert error_of(answer)["code"] == "invalid"
    assert words in error_of(answer)["message"]
    assert len(answer.content) < 600


async def test_given_a_job_when_deleted_then_it_is_cancelled_once_and_still_seen() -> None:
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
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=9999", "cursor=x", "cursor=W10=", "cursor=%C3%A4"],
)
async def test_given_a_wrong_query_when_listed_then_it_is_said(query: str) -> None:
    async with store() as redis, _served(redis) as client:
        answer = await client.get(f"/v1/jobs?{query}")

    assert error_of(answer)["code"] == "invalid"
    assert error_of(answer)["message"].startswith(query[:5])


async def test_given_a_full_tenant_and_one_more_job_then_ended_ones_make_room(
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
