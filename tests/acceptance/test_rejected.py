"""`mastery rejected`, as operators use it."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from contracts.rejections import RejectionCode
from contracts.streams import MASTERY, REJECTED, RESPONSES
from tests.support.dead_letters import rejection
from tests.support.factories import event
from tests.support.whole_run import MASTERY_COMMAND
from workers.cli.commands.rejected import app
from workers.common.errors import MasteryError, SettingsError

TOKEN = jwt.encode({"sub": "student-1"}, "x" * 32, algorithm="HS256")


class Operator:
    """Somebody at a terminal, with the settings of the worker."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.redis = Redis.from_url(url)

    def run(self, *arguments: str, status: int = 0, text: str = "", **settings: str) -> Result:
        done = CliRunner().invoke(
            app,
            list(arguments),
            input=text,
            env={"REDIS_URL": self.url, "COLUMNS": "250", **settings},
        )
        if isinstance(done.exception, MasteryError):
            raise done.exception
        assert done.exit_code == status, (done.output, done.stderr, done.exception)
        return done

    def json(self, *arguments: str, **options: Any) -> Any:
        return json.loads(self.run(*arguments, "--json", **options).stdout)

    def reject(self, student: str = "student-1", number: int = 0, **changes: Any) -> str:
        made = event(student, number)
        made["data"]["token"] = TOKEN
        stream = changes.pop("rejected", REJECTED)
        text = rejection({b"event": json.dumps(made).encode()}, **changes)
        entry_id: Any = self.redis.xadd(stream, {"event": text})
        return str(entry_id.decode())

    def reject_all(self) -> list[str]:
        """Four letters: of two students, with three codes, one of the graph projector."""
        return [
            self.reject(code=RejectionCode.UNAUTHENTICATED),
            self.reject("student-2", code=RejectionCode.CONFLICT),
            self.reject(number=1, code=RejectionCode.CONFLICT),
            self.reject(number=2, code=RejectionCode.POISON, stream=MASTERY),
        ]


@pytest.fixture
def operator(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    monkeypatch.chdir(tmp_path)  # no .env of ours
    made = Operator(redis_url)
    yield made
    made.redis.close()


def test_given_letters_of_other_shards_then_they_are_listed_and_redriven(
    operator: Operator,
) -> None:
    operator.redis.xadd(RESPONSES, {"event": "{}"})
    letter = operator.reject(code=RejectionCode.CONFLICT)

    (listed,) = operator.json("list", STREAM_SHARDS="2")
    operator.run("redrive", letter, STREAM_SHARDS="2")

    assert listed["id"] == letter
    assert operator.redis.xlen(RESPONSES) == 2


def test_given_letters_when_listed_then_each_is_one_object_with_its_claims(
    operator: Operator,
) -> None:
    assert operator.json("list") == []
    assert operator.run("list").stdout == ""
    ids = operator.reject_all()

    output = operator.json("list")

    assert [letter["id"] for letter in output] == ids
    assert (
        output[1].items()
        >= {
            "entry_id": "1795253400123-0",
            "code": "conflict",
            "status": 409,
            "reason": "a reason",
            "tenant_id": "school-7",
            "student_id": "student-2",
            "rejected_at": "2026-11-21T10:00:00.000Z",
            "redriven_at": None,
        }.items()
    )
    table = operator.run("list").stdout
    assert all(text in table for text in (*ids, "conflict", "school-7", "student-2", "a reason"))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--code", "conflict"], [1, 2]),
        (["--code", "conflict", "--code", "poison"], [1, 2, 3]),
        (["--student", "student-2"], [1]),
        (["--student", "student-1", "--code", "conflict"], [2]),
        (["--tenant", "school-7"], [0, 1, 2, 3]),
        (["--tenant", "school-8"], []),
        (["--since", "2020-01-01", "--until", "9000-01-01T00:00:00+02:00"], [0, 1, 2, 3]),
        (["--until", "2020-01-01T00:00:00Z"], []),
        (["--since", "9000-01-01"], []),
    ],
)
def test_given_filters_when_listed_then_only_those_are(
    operator: Operator, filters: list[str], expected: list[int]
) -> None:
    ids = operator.reject_all()
    assert [letter["id"] for letter in operator.json("list", *filters)] == [
        ids[k] for k in expected
    ]


def test_given_a_limit_then_the_cursor_leads_through_all_pages(operator: Operator) -> None:
    ids = [operator.reject(number=number) for number in range(7)]
    listed: list[str] = []
    more: list[str] = []
    pages = 0
    while True:
        done = operator.run("list", "--json", "--limit", "3", *more)
        listed += [letter["id"] for letter in json.loads(done.stdout)]
        pages += 1
        if not done.stderr:
            break
        _, _, cursor = done.stderr.strip().partition("--cursor ")
        more = ["--cursor", cursor]
    assert (listed, pages) == (ids, 3)
    assert operator.run("list", "--limit", "7").stderr == ""
    assert "--cursor" in operator.run("list", "--limit", "6").stderr


def test_given_ids_when_listed_or_shown_then_missing_ones_are_named(
    operator: Operator,
) -> None:
    first, second, *_ = operator.reject_all()
    assert [letter["id"] for letter in operator.json("list", second, first)] == [second, first]

    document = operator.json("show", first)
    assert document["id"] == first
    assert document["event"]["data"]["response"]["student_id"] == "student-1"
    assert len(operator.json("show", first, second)) == 2

    for command in ("list", "show", "redrive", "purge"):
        done = operator.run(command, "1-1", *(["--yes"] if command == "purge" else []), status=1)
        assert "no dead letter 1-1" in done.stderr


def test_given_a_token_in_the_event_then_no_command_shows_it(operator: Operator) -> None:
    ids = operator.reject_all()
    broken = rejection({b"event": b'\xff{"token": "' + TOKEN.encode()}, reason=f"is {TOKEN}")
    operator.redis.xadd(REJECTED, {"event": broken})
    ids = [letter["id"] for letter in operator.json("list")]
    shown = operator.run("show", *ids).stdout
    assert shown.count("(redacted)") > len(ids)
    for command in (["show", *ids], ["show", *ids, "--json"], ["list"], ["list", "--json"]):
        assert TOKEN[:20] not in operator.run(*command).output


def test_given_letters_when_redriven_by_id_then_each_is_told_and_sent_once(
    operator: Operator,
) -> None:
    _, conflict, _, of_graph = operator.reject_all()

    first = operator.run("redrive", conflict)
    again = operator.run("redrive", conflict)
    refused = operator.run("redrive", of_graph, conflict, status=1)

    assert operator.redis.xlen(RESPONSES) == 1
    listed = {letter["id"]: letter for letter in operator.json("list")}
    assert first.stdout.startswith(f"{conflict}: redriven as {listed[conflict]['redriven_as']}")
    assert f"already redriven at {listed[conflict]['redriven_at']}" in again.stdout
    assert "mastery reconcile" in refused.stdout
    assert listed[of_graph]["redriven_at"] is None
    assert listed[conflict]["redriven_at"] in operator.run("list").stdout


def test_given_filters_when_redriven_then_a_dry_run_only_counts(operator: Operator) -> None:
    operator.reject_all()

    trial = operator.run("redrive", "--all", "--dry-run")
    assert "3 would be redriven, 1 can't be redriven" in trial.stdout
    assert not operator.redis.exists(RESPONSES)

    done = operator.json("redrive", "--code", "conflict", "--limit", "1")
    assert (done["dry_run"], done["redriven"]) == (False, 1)
    rest = operator.json("redrive", "--code", "conflict", "--cursor", done["cursor"])
    assert (rest["redriven"], rest["cursor"]) == (1, None)
    everything = operator.json("redrive", "--all")
    assert (everything["redriven"], everything["already_redriven"], everything["refused"]) == (
        1,
        2,
        1,
    )
    assert operator.redis.xlen(RESPONSES) == 3
    assert operator.run("redrive", "--student", "x").stdout == "no matching dead letters\n"


def test_given_letters_when_purged_then_it_asks_and_takes_only_those_named(
    operator: Operator,
) -> None:
    ids = operator.reject_all()

    def left() -> list[str]:
        return [letter["id"] for letter in operator.json("list")]

    asked = operator.run("purge", "--code", "conflict", text="n\n", status=1)
    assert "Purge 2 dead letters" in asked.stderr
    assert left() == ids
    trial = operator.json("purge", "--code", "conflict", "--dry-run")
    assert (trial["purged"], left()) == (2, ids)
    operator.run("purge", "--code", "conflict", text="y\n")
    assert left() == [ids[0], ids[3]]
    operator.run("redrive", ids[0])
    kept = operator.run("purge", ids[0], "--yes", status=1)
    assert "has not finished" in kept.stdout
    operator.redis.delete(RESPONSES)
    assert operator.json("purge", "--all", "--yes")["purged"] == 2
    assert left() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["redrive"], "--all"),
        (["purge", "--yes"], "--all"),
        (["purge", "--all", "--code", "poison"], "omit one of them"),
        (["redrive", "1-1", "--code", "poison"], "not both"),
        (["list", "x"], "not the id of a dead letter"),
        (["list", "--cursor", "x"], "not the id of a dead letter"),
        (["list", "--since", "yesterday"], "is not a time"),
        (["list", "--until", "0001-01-01T00:00:00+14:00"], "is not a time"),
        (["list", "--code", "bad"], "too_large"),
        (["list", "--limit", "0"], "--limit"),
        (["show"], "ID"),
    ],
)
def test_given_senseless_arguments_then_it_does_nothing_and_names_a_remedy(
    operator: Operator, arguments: list[str], words: str
) -> None:
    ids = operator.reject_all()
    assert words in operator.run(*arguments, status=2).stderr
    assert operator.redis.keys() == [REJECTED.encode()]
    assert operator.redis.xlen(REJECTED) == len(ids)


def test_given_no_redis_then_the_setting_is_named(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    with pytest.raises(SettingsError, match="REDIS_URL"):
        operator.run("list", REDIS_URL="")


def test_given_shards_then_ids_carry_their_number(operator: Operator) -> None:
    shard = RESPONSES + ".{1}"
    entry_id = operator.reject(stream=shard, rejected=REJECTED + ".{1}")
    (letter,) = operator.json("list", STREAM_SHARDS="2")
    assert letter["id"] == f"1:{entry_id}"
    operator.run("redrive", letter["id"], STREAM_SHARDS="2")
    assert operator.redis.xlen(shard) == 1


def test_given_the_installed_command_then_its_errors_are_one_line(
    operator: Operator, tmp_path: Path
) -> None:
    ids = operator.reject_all()

    def mastery(url: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [MASTERY_COMMAND, "rejected", "list", "--json"],
            cwd=tmp_path,
            env={**os.environ, "REDIS_URL": url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert [letter["id"] for letter in json.loads(mastery(operator.url).stdout)] == ids
    away = mastery("redis://127.0.0.1:1")
    assert away.returncode == 1
    assert away.stderr.startswith("mastery: redis is unavailable")
    assert "Traceback" not in away.stderr
