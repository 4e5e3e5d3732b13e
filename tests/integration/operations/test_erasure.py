"""A learner is erased, on real servers: a dump of everything holds nothing of them any more."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, JOBS, MASTERY, REJECTED, RESPONSES
from tests.support.books import Books
from tests.support.factories import uuid_of
from tests.support.run_results import graph_differences
from tests.support.servers import Neo4j
from tests.support.whole_run import Setting, start_worker
from workers.common.times import iso

TENANT = "school-7"
CORE = "zq7victim"
STUDENT = f'{CORE} "o\'Neil" \\ {{}} ;ü drop table mastery.learners --'
SESSION = "zq7session"
OTHERS = ("bob", "cy")


def event(student: str, number: int, *, sub: str | None = None, **response: Any) -> bytes:
    """An event that a student publishes now, in a session of their own and one for all, in turn."""
    now = int(time.time())
    session = f"{SESSION}-{student}" if number % 2 else "shared"
    return json.dumps(
        {
            "specversion": "1.0",
            "id": uuid_of("event", student, number),
            "source": "/tests",
            "type": "practice.response.recorded.v1",
            "data": {
                "claims": {
                    "sub": sub or student,
                    "iss": "https://school.example/auth/v1",
                    "aud": "authenticated",
                    "role": "authenticated",
                    "iat": now,
                    "exp": now + 3600,
                    "tenant_id": TENANT,
                },
                "token": "eyJhbGciOiJIUzI1NiJ9.secret.secret",
                "response": {
                    "response_id": response_id(student, number),
                    "student_id": student,
                    "session_id": session,
                    "item_id": f"q-{number % 5}",
                    "concept_ids": [f"c{number % 3}"],
                    "score": 1.0 if number % 4 else 0.0,
                    "answered_at": iso(now * 1_000_000 - 60_000_000 + number),
                }
                | response,
            },
        }
    ).encode()


def response_id(student: str, number: int) -> str:
    return uuid_of("response", student, number)


def verification(student: str) -> bytes:
    """A job about a student, which an operator asks for."""
    wanted = json.loads(event(student, 0, sub="operator"))
    claims = wanted["data"]["claims"] | {"role": "service_role"}
    data = {"job_id": job_id(student), "kind": "verify", "parameters": {"student_id": student}}
    return json.dumps(
        wanted | {"type": "practice.job.requested.v1", "data": data | {"claims": claims}}
    ).encode()


def job_id(student: str) -> str:
    return uuid_of("job", student)


def traces(dump: str, numbers: Iterable[int]) -> list[str]:
    """List the learner's traces in a dump."""
    wanted = [CORE, *(response_id(STUDENT, number) for number in numbers)]
    wanted += [uuid_of("event", STUDENT, number) for number in numbers]
    return [name for name in wanted if name in dump]


@pytest.fixture
def books(redis_url: str, database_url: str, neo4j: Neo4j) -> Books:
    ledger = {"DATABASE_URL": database_url}
    return Books(Setting(redis_url, ledger, database_url, neo4j.environment), neo4j)


@asynccontextmanager
async def worker(books: Books, **settings: str) -> AsyncIterator[None]:
    process = start_worker(books.setting, **settings)
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


async def prepared(books: Books) -> None:
    """A worker has recorded some, rejected some, and had some sent again; some wait unread."""
    # All of it in one window.
    if (left_s := 3600 - time.time() % 3600) < 30:
        await asyncio.sleep(left_s + 1)
    odd = [
        event(STUDENT, 900, item_id=""),  # invalid
        event("bob", 901, sub=STUDENT),  # of the learner's own token, for another
        event(STUDENT, 902, sub="bob"),  # of another's, for the learner
        event(STUDENT, 903).replace(b'"specversion"', b'"specversion'),  # no JSON
        event(STUDENT, 904).replace(b'"school-7"', b"7"),  # its tenant is no string
    ]
    await books.publish(*odd)
    await books.publish(
        *(event(student, number) for number in range(40) for student in (STUDENT, *OTHERS))
    )
    await books.publish(event(STUDENT, 0), event(STUDENT, 1, item_id="other"))  # repeat, conflict
    await books.publish(verification(STUDENT), verification("bob"), stream=JOBS)


async def test_given_traces_of_a_learner_when_erased_then_only_others_remain(
    books: Books, tmp_path: Path
) -> None:
    numbers = [*range(40), *range(900, 905)]
    await prepared(books)
    async with worker(books, RATE_LIMIT="30/hour"):
        await books.drained()
        await books.command("rejected", "redrive", "--code", "conflict")
        await books.drained()
        before = await books.dump()
    assert set(traces(before, numbers)) > {CORE, response_id(STUDENT, 0), response_id(STUDENT, 35)}
    # Nobody works on these: one is never read, one was read by a worker that is no more.
    await books.publish(event(STUDENT, 40), event(STUDENT, 41))
    async with Redis.from_url(books.setting.redis_url) as client:
        await client.xreadgroup(ENGINE_GROUP, "dead", {RESPONSES: ">"}, count=1)
        letters = await client.xlen(REJECTED)
    numbers += [40, 41]

    file = tmp_path / "all.json"
    who = (STUDENT, "--tenant", TENANT)
    await books.command("learner", "export", *who, "--output", str(file))
    assert await books.dump() != ""
    planned = json.loads(await books.command("learner", "erase", *who, "--dry-run", "--json"))
    async with Redis.from_url(books.setting.redis_url) as client:
        assert await client.xlen(REJECTED) == letters
    done = json.loads(await books.command("learner", "erase", *who, "--yes", "--json"))

    exported = json.loads(file.read_bytes())
    assert "secret" not in file.read_text()
    assert {row["response_id"] for row in exported["ledger"]["student_responses"]} == {
        response_id(STUDENT, number) for number in range(30)
    }
    assert exported["graph"]["student"]
    assert len(exported["graph"]["has_mastery"]) == 3
    assert {dead_letter["code"] for dead_letter in exported["dead_letters"]} >= {
        "invalid",
        "forbidden",
        "conflict",
        "rate_limited",
    }
    assert len(exported["streams"][MASTERY]) == 30
    jobs = [(record["job_id"], record["status"]) for record in exported["job_records"]]
    assert jobs == [(job_id(STUDENT), "succeeded")]
    assert done["job_records"] == planned["job_records"] == 1
    assert done["rows"] == planned["rows"] == done["rows"] | {"student_responses": 30}
    assert done["letters"] == planned["letters"] == len(exported["dead_letters"]) >= 15
    assert done["mastery"] == planned["mastery"] == 30
    dump = await books.dump()
    assert traces(dump, numbers) == []
    assert job_id(STUDENT) in before
    assert (job_id(STUDENT) in dump, job_id("bob") in dump) == (False, True)
    assert "shared" in dump
    assert f"{SESSION}-bob" in dump
    assert await graph_differences(books.setting) == []
    await books.command("verify")
    # Again, as after a run that was killed: there is nothing, and it is no error.
    again = json.loads(await books.command("learner", "erase", *who, "--yes", "--json"))
    assert (sum(again["rows"].values()), again["letters"]) == (0, 0)

    await books.publish(event(STUDENT, 50))
    async with worker(books, RATE_LIMIT="30/hour"):
        await books.drained()
    assert traces(await books.dump(), numbers) == [CORE]
    assert response_id(STUDENT, 50) in await books.dump()


@pytest.mark.parametrize("refuse", [False, True])
async def test_given_a_loaded_worker_when_erased_then_earlier_data_never_returns(
    books: Books, *, refuse: bool
) -> None:
    published = 0
    ended = asyncio.Event()

    async def load() -> None:
        nonlocal published
        while not ended.is_set():
            some = [
                event(student, published + more)
                for more in range(5)
                for student in (STUDENT, *OTHERS)
            ]
            some.append(event(STUDENT, published + 1, item_id="another"))  # a conflict
            await books.publish(*some)
            published += 5
            await asyncio.sleep(0.01)

    async with worker(books, RATE_LIMIT="off"):
        loading = asyncio.create_task(load())
        while published < 100:
            await asyncio.sleep(0.01)
        before = published
        options = ["--refuse"] if refuse else []
        await books.command("learner", "erase", STUDENT, "--tenant", TENANT, "--yes", *options)
        now = await books.dump()
        after = published
        while published < after + 20:
            await asyncio.sleep(0.01)
        ended.set()
        await loading
        await books.drained()
    assert traces(now, range(before))[1:] == []
    dump = await books.dump()
    assert traces(dump, range(before))[1:] == []
    assert await graph_differences(books.setting) == []
    await books.command("verify")
    connection = await asyncpg.connect(books.setting.dsn)
    try:
        rows = await connection.fetch(
            "select response_id::text from public.student_responses where student_id = $1", STUDENT
        )
        others = await connection.fetchval(
            "select count(*) from public.student_responses where student_id <> $1", STUDENT
        )
    finally:
        await connection.close()
    assert others == len(OTHERS) * published
    kept = {row[0] for row in rows}
    if refuse:
        assert kept == set()
        async with Redis.from_url(books.setting.redis_url) as client:
            letters: Any = await client.xrange(REJECTED)
        codes = {json.loads(fields[b"event"])["data"]["code"] for _, fields in letters}
        assert "forbidden" in codes
        return
    assert kept >= {response_id(STUDENT, number) for number in range(after, published)}
