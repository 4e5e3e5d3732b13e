"""`GET /v1/students/{student_id}/mastery`, over an embedded Redis and a ledger in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from typing_extensions import override

from contracts.client.replies import text
from contracts.streams import MASTERY, shard_of
from tests.support.calibrated import LAST_STEP
from tests.support.factories import answer, learner_log
from tests.support.http_callers import bearer, client_of, error_of, guard, operator, store, token
from tests.support.ledger_steps import record
from workers.common.errors import LedgerUnavailable, RedisUnavailable
from workers.estimation.learner import LearnerKey
from workers.ledger.current import BEGINNING, ValuesPage, ValuesPlace
from workers.ledger.memory.ledger import MemoryLedger
from workers.web import mastery as module
from workers.web.answers import MasteryPage
from workers.web.http import application
from workers.web.mastery import StudentMastery
from workers.web.paging import cursor_of

_KEY = LearnerKey("school-7", "student-42")
_PATH = "/v1/students/student-42/mastery"


@asynccontextmanager
async def served(
    redis: Redis, ledger: MemoryLedger, *, shard_count: int = 0, of: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    route = StudentMastery(
        guard=guard(redis),
        ledger=ledger,
        client=redis,
        shard_count=shard_count,
        delegate_roles=("service_role",),
    )
    async with client_of(application(route.routes)) as client:
        client.headers.update(bearer(of or token()))
        yield client


async def _pages(client: httpx.AsyncClient, limit: int) -> list[MasteryPage]:
    pages: list[MasteryPage] = []
    parameters: dict[str, Any] = {"limit": limit}
    while not pages or pages[-1].next_cursor is not None:
        response = await client.get(_PATH, params=parameters)
        assert response.status_code == 200, response.text
        pages.append(MasteryPage.model_validate_json(response.content))
        parameters["cursor"] = pages[-1].next_cursor
    return pages


async def test_given_values_then_all_pages_hold_each_of_them_once() -> None:
    ledger = MemoryLedger()
    await record(ledger, _KEY, learner_log(40, concepts=7), parameters=LAST_STEP)
    (current,) = await ledger.current([_KEY])
    async with store() as redis, served(redis, ledger) as client:
        pages = await _pages(client, 3)

    assert len(pages) == 3
    rows = [row for page in pages for row in page.mastery]
    assert [(row.concept_id, row.mastery, row.attempts, row.version) for row in rows] == [
        (row.concept_id, row.mastery, row.attempts, row.version) for row in sorted(current.concepts)
    ]
    intervals = {row.concept_id: row.interval for row in current.concepts}
    for row in rows:
        given = row.mastery_interval
        assert (given and (given.low, given.high)) == intervals[row.concept_id]
    abilities = [row for page in pages for row in page.abilities]
    assert [(row.scale, row.theta, row.standard_error) for row in abilities] == [
        (row.scale, row.theta, row.standard_error) for row in sorted(current.abilities)
    ]
    assert all(row.interval.low < row.theta < row.interval.high for row in abilities)


async def test_given_events_then_positions_are_those_before_the_first_page() -> None:
    ledger = MemoryLedger()
    await record(ledger, _KEY, learner_log(20, concepts=4))
    async with store() as redis, served(redis, ledger) as client:
        end = text(await redis.xadd(MASTERY, {"event": "{}"}))
        first = (await client.get(_PATH, params={"limit": 2})).json()
        await redis.xadd(MASTERY, {"event": "{}"})
        second = (await client.get(_PATH, params={"cursor": first["next_cursor"]})).json()

    assert first["positions"] == second["positions"] == {MASTERY: end}


async def test_given_a_commit_amid_the_read_then_its_event_follows_the_position() -> None:
    class Committing(MemoryLedger):
        @override
        async def values(
            self, key: LearnerKey, limit: int, after: ValuesPlace = BEGINNING
        ) -> ValuesPage:
            page = await super().values(key, limit, after)
            published.append(await redis.xadd(MASTERY, {"event": "{}"}))
            return page

    published: list[Any] = []
    async with store() as redis, served(redis, Committing()) as client:
        positions = (await client.get(_PATH)).json()["positions"]
        missed: Any = await redis.xread(positions)

    assert [id_ for id_, _ in missed[0][1]] == published


async def test_given_shards_then_the_position_is_of_the_students_own() -> None:
    k = shard_of(*_KEY, 4)
    async with store() as redis, served(redis, MemoryLedger(), shard_count=4) as client:
        page = (await client.get(_PATH)).json()

    assert page["positions"] == {f"{MASTERY}.{{{k}}}": "0-0"}


async def test_given_a_student_without_answers_then_the_lists_are_empty() -> None:
    async with store() as redis, served(redis, MemoryLedger()) as client:
        response = await client.get(_PATH)

    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "tenant_id": "school-7",
        "student_id": "student-42",
        "positions": {MASTERY: "0-0"},
        "mastery": [],
        "abilities": [],
        "next_cursor": None,
    }


async def test_given_another_student_then_only_a_delegate_of_the_tenant_sees() -> None:
    ledger = MemoryLedger()
    await record(ledger, _KEY, [answer(1)])
    async with store() as redis, served(redis, ledger) as client:
        other = await client.get("/v1/students/student-43/mastery")
        delegate = await client.get(_PATH, headers=bearer(operator()))
        stranger = await client.get(_PATH, headers=bearer(operator("school-8")))
        nobody = await client.get(_PATH, headers={"Authorization": ""})

    assert error_of(other)["code"] == "forbidden"
    assert [row["concept_id"] for row in delegate.json()["mastery"]] == ["c"]
    assert stranger.json()["mastery"] == []
    assert error_of(nobody)["code"] == "unauthenticated"


async def test_given_an_id_with_a_slash_then_it_is_found() -> None:
    async with store() as redis, served(redis, MemoryLedger(), of=token("a/b ü")) as client:
        page = (await client.get("/v1/students/a%2Fb%20%C3%BC/mastery")).json()

    assert page["student_id"] == "a/b ü"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limit": "0"}, "limit is '0'"),
        ({"limit": "201"}, "write a number from 1 to 200"),
        ({"limit": "٣"}, "limit is"),
        ({"cursor": "x"}, "cursor is not valid"),
        ({"cursor": cursor_of([1, 2])}, "cursor is not valid"),
        (
            {"cursor": cursor_of({"positions": {}, "concept_id": "\0", "scale": ""})},
            "cursor is not valid",
        ),
    ],
)
async def test_given_a_wrong_parameter_then_it_is_named(query: Any, words: str) -> None:
    async with store() as redis, served(redis, MemoryLedger()) as client:
        response = await client.get(_PATH, params=query)

    assert error_of(response)["code"] == "invalid"
    assert words in error_of(response)["message"]


async def test_given_an_id_that_no_student_has_then_it_is_invalid() -> None:
    async with store() as redis, served(redis, MemoryLedger(), of=operator()) as client:
        response = await client.get("/v1/students/a%00b/mastery")

    assert error_of(response)["code"] == "invalid"


async def test_given_a_ledger_that_is_away_then_it_is_unavailable() -> None:
    class Away(MemoryLedger):
        @override
        async def values(
            self, key: LearnerKey, limit: int, after: ValuesPlace = BEGINNING
        ) -> ValuesPage:
            raise LedgerUnavailable("no connection")

    async with store() as redis, served(redis, Away()) as client:
        response = await client.get(_PATH)

    assert error_of(response)["code"] == "unavailable"
    assert response.headers["retry-after"] == "5"


async def test_given_a_redis_that_is_away_then_it_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(*_: object) -> dict[str, str]:
        raise RedisUnavailable("no connection")

    monkeypatch.setattr(module, "positions", away)
    async with store() as redis, served(redis, MemoryLedger()) as client:
        response = await client.get(_PATH)

    assert error_of(response)["code"] == "unavailable"
