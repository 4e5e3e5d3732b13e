"""`mastery response`, `rebuild` and `verify` on real servers, as a person runs them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from contracts.streams import MASTERY
from tests.support.factories import learner_log
from tests.support.ledger_steps import record
from tests.support.run_results import graph_differences, ledger_differences
from tests.support.servers import Neo4j
from tests.support.whole_run import Setting, drain, publish, simulated_rows
from workers.cli.main import app
from workers.common.errors import MasteryError
from workers.common.times import iso
from workers.estimation.learner import LearnerKey
from workers.ledger.sql.direct import DirectLedger

Value = TypeVar("Value")
LOG = learner_log(15, seed=51)
STUDENTS = ("ann", "bob", "cy")


class Desk:
    """Commands in the surroundings of a ledger with three learners."""

    def __init__(self, dsn: str, redis_url: str) -> None:
        self._dsn = dsn
        self._redis_url = redis_url

    def run(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, [*arguments])
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code))

    def sql(self, statement: str) -> Any:
        async def execute() -> Any:
            connection = await asyncpg.connect(self._dsn)
            try:
                return await connection.fetch(statement)
            finally:
                await connection.close()

        return asyncio.run(execute())

    def ledger(self, use: Callable[[DirectLedger], Awaitable[Value]]) -> Value:
        async def within() -> Value:
            ledger = DirectLedger(self._dsn)
            try:
                return await use(ledger)
            finally:
                await ledger.close()

        return asyncio.run(within())

    def events(self) -> list[Any]:
        async def read() -> list[Any]:
            async with Redis.from_url(self._redis_url) as client:
                entries: Any = await client.xrange(MASTERY)
            return [json.loads(fields[b"event"])["data"] for _, fields in entries]

        return asyncio.run(read())


@pytest.fixture
def desk(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Desk:
    monkeypatch.chdir(tmp_path)
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "NEO4J_URI", "NEO4J_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    desk = Desk(database_url, redis_url)

    async def fill(ledger: DirectLedger) -> None:
        for student in STUDENTS:
            await record(ledger, LearnerKey("default", student), LOG)

    desk.ledger(fill)
    return desk


def test_given_a_response_voided_and_rescored_then_it_counts_accordingly(
    desk: Desk,
) -> None:
    arguments = ("--student", "ann", "--reason", "cheated", LOG[4].response_id.upper())

    planned = desk.json("response", "void", *arguments, "--dry-run")
    assert (planned["corrected"], planned["events"]) == (1, 0)
    assert desk.events() == []
    done = desk.json("response", "void", *arguments)
    assert done["corrected"] == 1
    assert done["responses"][0]["after"] is None
    assert len(desk.events()) == done["events"] > 0
    again = desk.json("response", "void", *arguments)
    assert (again["corrected"], again["unchanged"], again["events"]) == (0, 1, 0)
    lifted = desk.run("response", "rescore", "--score", "0.25", *arguments)
    assert "1 responses of 1 students corrected" in lifted
    assert desk.events()[-1]["score"] == 0.25
    assert "no difference" in desk.run("verify")
    assert [
        tuple(row)
        for row in desk.sql("select kind, score, reason from response_corrections order by version")
    ] == [("void", None, "cheated"), ("rescore", 0.25, "cheated")]


def test_given_a_miskeyed_item_when_flipped_then_its_span_flips_just_once(
    desk: Desk,
) -> None:
    item = LOG[3].item_id
    meant = [r for r in LOG[2:12] if r.item_id == item]
    span = ("--since", iso(LOG[2].answered_at_us), "--until", iso(LOG[12].answered_at_us))
    order = ("response", "rescore", "--flip", "--item", item, *span, "--reason", "wrong key")

    done = desk.json(*order)

    assert done["corrected"] == len(meant) * len(STUDENTS)
    assert {response["response_id"] for response in done["responses"]} == {
        r.response_id for r in meant
    }
    assert all(response["after"] == 1 - response["before"] for response in done["responses"])
    assert desk.json(*order)["unchanged"] == done["corrected"]
    assert len({event["student_id"] for event in desk.events()}) == len(STUDENTS)
    assert desk.json("verify")["differences"] == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["void", "--reason", "x"], "RESPONSE_ID"),
        (["void", "--reason", " ", "--item", "i"], "reason"),
        (["void", "--reason", "x", LOG[0].response_id], "--student"),
        (["void", "--reason", "x", "no-uuid", "--student", "ann"], "UUID"),
        (["void", "--reason", "x", "--item", "i", "--student", "ann"], "--student"),
        (["void", "--reason", "x", "--item", "i", "--since", "noon"], "noon"),
        (["void", "--reason", "x", LOG[0].response_id, "--student", "ann", "--since",
          "2026-01-01"], "--item"),
        (["rescore", "--reason", "x", "--item", "i"], "--flip"),
        (["rescore", "--reason", "x", "--item", "i", "--score", "nan"], "--score"),
        (["rescore", "--reason", "x", "--item", "i", "--score", "1.5"], "less than or equal to"),
        (["void", "--reason", "x", LOG[0].response_id, "--student", "dora"], "dora"),
        (["void", "--reason", "x", "00000000-0000-4000-8000-000000000009", "--student", "ann"],
         "no response"),
    ],
)  # fmt: skip
def test_given_a_wrong_order_then_it_is_named_and_nothing_changes(
    desk: Desk, arguments: list[str], named: str
) -> None:
    assert named in desk.run("response", *arguments, code=2)
    assert desk.sql("select * from response_corrections") == []


def test_given_wrong_rows_when_verified_and_rebuilt_then_they_are_repaired(
    desk: Desk,
) -> None:
    desk.sql("update concept_mastery set mastery = 0.5 where student_id = 'bob'")
    desk.sql("delete from student_ability where student_id = 'cy'")

    output = desk.json("verify", code=1)
    assert {difference["student_id"] for difference in output["differences"]} == {"bob", "cy"}
    assert "concept_mastery" in desk.run("verify", "--student", "bob", "--show", "1", code=1)
    assert desk.json("verify", "--student", "ann")["learners"] == 1
    assert desk.json("verify", "--sample", "3", code=1)["learners"] == 3
    assert "2 to be repaired" in desk.run("rebuild", "--dry-run", code=1)
    assert [
        learner["student_id"] for learner in desk.json("rebuild", "--student", "cy")["repaired"]
    ] == ["cy"]
    done = desk.json("rebuild")
    assert [learner["student_id"] for learner in done["repaired"]] == ["bob"]
    assert done["events"] > 0
    assert {event["cause"] for event in desk.events()} == {"rebuild"}
    assert "0 repaired" in desk.run("rebuild")
    assert "no difference" in desk.run("verify")


def test_given_an_altered_log_then_nothing_is_computed_unless_accepted(
    desk: Desk,
) -> None:
    desk.sql("update student_responses set score = 0.125 where student_id = 'bob'")
    assert "checksum of student_responses" in desk.run("verify", code=1)
    assert "--accept-log" in desk.run("rebuild", code=1)
    void = ("response", "void", "--item", LOG[0].item_id, "--reason", "x")
    done = desk.json(*void, code=1)
    assert done["damaged"] > 0
    assert "left alone" in desk.run(*void, code=1)
    assert desk.json("rebuild", "--accept-log")["rows_sealed"] == len(LOG)
    assert "no difference" in desk.run("verify")


def test_given_no_redis_or_one_that_is_away_then_the_next_worker_tells(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    command = ("response", "void", "--student", "ann", "--reason", "x")
    monkeypatch.delenv("REDIS_URL")
    assert "REDIS_URL is unset" in desk.run(*command, LOG[0].response_id)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    assert "next worker" in desk.run(*command, LOG[1].response_id)
    monkeypatch.setenv("REDIS_URL", redis_url)
    assert desk.events() == []

    # Changes that were lent to the one that failed come after their lease.
    desk.sql("update mastery.untold set taken_at = null")
    told = desk.json(*command, LOG[0].response_id)["events"]

    assert told == len(desk.events()) >= 2


def test_given_rows_without_checksum_then_verify_counts_and_rebuild_seals(
    desk: Desk,
) -> None:
    desk.sql("update student_responses set checksum = null where student_id = 'cy'")
    assert f"{len(LOG)} rows have no checksum" in desk.run("verify")
    assert f"{len(LOG)} checksums given" in desk.run("rebuild")
    assert desk.json("verify")["rows_without_checksum"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--tenant", "default", "--sample", "2"],
        ["verify", "--student", "ann", "--sample", "2"],
        ["verify", "--student", "nobody"],
        ["rebuild", "--student", "nobody"],
    ],
)
def test_given_a_learner_named_wrongly_then_it_is_refused(desk: Desk, arguments: list[str]) -> None:
    desk.run(*arguments, code=2)


def test_given_an_older_schema_then_the_remedy_is_named(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    done = CliRunner().invoke(app, ["verify"])
    assert isinstance(done.exception, MasteryError)
    assert "mastery migrate up" in str(done.exception)


def test_given_a_run_when_an_item_is_flipped_then_ledger_and_graph_follow(
    desk: Desk,
    database_url: str,
    redis_url: str,
    neo4j: Neo4j,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = simulated_rows(300, students=12)
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url, neo4j.environment)
    for student in STUDENTS:
        for table in ("student_responses", "concept_mastery", "student_ability",
                      "practice_sessions", "mastery.learners"):  # fmt: skip
            desk.sql(f"delete from {table} where student_id = '{student}'")  # noqa: S608  # names of our own
    asyncio.run(publish(redis_url, rows))
    drain(setting)
    item = rows[0]["item_id"]
    tenant = rows[0]["tenant_id"]

    done = desk.json(
        "response", "rescore", "--flip", "--item", item, "--tenant", tenant, "--reason", "key"
    )  # fmt: skip

    meant = [r for r in rows if (r["item_id"], r["tenant_id"]) == (item, tenant)]
    assert done["corrected"] == len(meant) > 1
    corrected = [{**r, "score": 1 - r["score"]} if r in meant else r for r in rows]
    assert asyncio.run(ledger_differences(database_url, corrected, 1e-12)) == []
    drain(setting)
    assert asyncio.run(graph_differences(setting)) == []
    assert desk.json("verify")["differences"] == []

    # What a command could not tell, the next worker does.
    monkeypatch.delenv("REDIS_URL")
    row = rows[1]
    before = len(desk.events())
    desk.json(
        "response", "rescore", "--score", "0.125", "--student", row["student_id"], "--tenant",
        row["tenant_id"], "--reason", "typo", row["response_id"],
    )  # fmt: skip
    assert len(desk.events()) == before
    drain(setting)
    assert len(desk.events()) > before
    assert asyncio.run(graph_differences(setting)) == []
