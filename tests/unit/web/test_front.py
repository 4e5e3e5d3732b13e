"""The front page, the status and dead letters: who sees what."""

from collections.abc import AsyncIterator

import httpx
import pytest

from contracts.rejections import RejectionCode
from tests.support.dead_letters import TOKEN, add_with_token, reject
from tests.support.http_callers import bearer, error_of, operator, token
from tests.support.served_pages import ServedPages, served_pages

STATUS = "Status of this worker"


@pytest.fixture
async def served() -> AsyncIterator[ServedPages]:
    async with served_pages() as pages:
        yield pages


async def get(host: str, path: str, of: str | None = None) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.get(f"http://{host}{path}", headers=bearer(of) if of else {})


@pytest.mark.parametrize("of", [None, token()])
async def test_given_anybody_then_the_front_page_has_links_alone(
    served: ServedPages, of: str | None
) -> None:
    answer = await get(served.outer, "/", of)

    assert answer.status_code == 200
    assert "<h1>Mastery Engine</h1>" in answer.text
    assert STATUS not in answer.text
    assert answer.text.count("<li>") == 5
    assert "'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


async def test_given_an_operator_then_the_front_page_is_the_status(served: ServedPages) -> None:
    assert STATUS in (await get(served.outer, "/", operator())).text
    assert STATUS in (await get(served.inner, "/")).text


async def test_given_a_forged_token_then_the_front_page_is_refused(served: ServedPages) -> None:
    answer = await get(served.outer, "/", operator()[:-3] + "AAA")

    assert error_of(answer)["code"] == "unauthenticated"
    assert answer.headers["cache-control"] == "no-store"


async def test_given_an_inner_listener_then_the_public_one_links_no_documents() -> None:
    async with served_pages() as served:
        assert 'href="docs"' in (await get(served.outer, "/")).text
        assert 'href="docs"' in (await get(served.inner, "/")).text
        assert 'href="docs"' not in (await get(served.apart, "/")).text
        assert (await get(served.apart, "/docs")).status_code == 404


@pytest.mark.parametrize(
    ("of", "status", "code"),
    [(None, 401, "unauthenticated"), (token(), 403, "forbidden")],
)
async def test_given_no_operator_then_the_public_status_is_refused(
    served: ServedPages, of: str | None, status: int, code: str
) -> None:
    for path in ("/status.json", "/v1/rejected", "/v1/rejected/1-1"):
        answer = await get(served.outer, path, of)
        assert (answer.status_code, error_of(answer)["code"]) == (status, code)
        assert answer.headers["cache-control"] == "no-store"


async def test_given_an_operator_then_the_status_has_all_its_parts(served: ServedPages) -> None:
    await reject(served.redis, 2, code=RejectionCode.INVALID)
    await served.redis.xadd("practice.responses.v1", {"event": "{}"})
    await served.redis.xgroup_create("practice.responses.v1", "engine", "0")

    public = (await get(served.outer, "/status.json", operator())).json()
    inner = (await get(served.inner, "/status.json")).json()

    for status in (public, inner):
        assert status["health"]["checks"]["redis"]["status"] == "healthy"
        assert status["dead_letters"] == {"total": 2, "counted": 2, "by_code": {"invalid": 2}}
        (group,) = status["groups"]
        assert (group["stream"], group["group"]) == ("practice.responses.v1", "engine")
        assert (group["lag"], group["pending"]) == (1, 0)
        assert status["predictions"]["calibration"] == []
        assert status["predictions"]["auc"] is None
        assert (status["parameters"]["version"], status["parameters"]["model"]) == (1, "classical")
        assert (status["responses"]["applied"], status["responses"]["learners"]) == (0, 0)


async def test_given_a_letter_then_its_tenant_alone_sees_it_without_token(
    served: ServedPages,
) -> None:
    letter_id = await add_with_token(served.redis)

    for host in (served.outer, served.inner):
        answer = await get(host, f"/v1/rejected/{letter_id}", operator())
        assert answer.status_code == 200
        assert answer.json()["event"]["data"]["token"] == "(redacted)"
        assert TOKEN not in answer.text
        assert "eyJ" not in answer.text

        foreign = await get(host, f"/v1/rejected/{letter_id}", operator("school-8"))
        absent = await get(host, "/v1/rejected/5-5", operator())
        nonsense = await get(host, "/v1/rejected/nonsense", operator())
        assert [error_of(of)["code"] for of in (foreign, absent, nonsense)] == ["not_found"] * 3
        assert (await get(host, f"/v1/rejected/{letter_id}")).status_code == 401
        assert (await get(host, f"/v1/rejected/{letter_id}", token())).status_code == 403


async def test_given_letters_of_tenants_when_listed_then_own_ones_newest_first(
    served: ServedPages,
) -> None:
    first = await add_with_token(served.redis)
    await add_with_token(served.redis, "school-8")
    last = await add_with_token(served.redis)
    await served.redis.xadd("practice.rejected.v1", {"event": "no rejection"})

    answer = await get(served.outer, "/v1/rejected", operator())

    assert [letter["id"] for letter in answer.json()["rejected"]] == [last, first]
    assert "eyJ" not in answer.text
