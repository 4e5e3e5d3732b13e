"""Access to `/v1/jobs`: roles, tenants, origins."""

import pytest

from tests.support.factories import uuid_of
from tests.support.http_callers import bearer, error_of, operator, store, token
from tests.support.served_jobs import served as _served
from workers.app.http import cors

_JOB = uuid_of("job", 1)
_ORIGIN = "https://app.example"


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


async def test_given_jobs_of_two_tenants_then_each_pages_through_its_own() -> None:
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
async def test_given_a_tenant_with_colons_then_others_cannot_ask_around_them(
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


async def test_given_no_origins_when_a_page_calls_then_no_origin_header_comes() -> None:
    async with store() as redis, _served(redis) as client:
        answer = await client.get("/v1/jobs", headers={"Origin": _ORIGIN})

    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
