"""Commands about one learner or one tenant, on a real ledger, as a person runs them."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.support.factories import learner_log
from tests.support.ledger_steps import record
from workers.cli.main import app
from workers.estimation.learner import LearnerKey
from workers.ledger.sql.direct import DirectLedger

LOG = learner_log(6, seed=51)
RESPONSE = LOG[0].response_id
UNKNOWN = "nothing is held about student 'bea' of tenant 'default'"

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "NEO4J_URI", "NEO4J_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LOG_LEVEL", "WARNING")

    async def fill() -> None:
        ledger = DirectLedger(database_url)
        for tenant, student in (("default", "ann"), ("school-7", "bea"), ("school-8", "bea")):
            await record(ledger, LearnerKey(tenant, student), LOG)
        await ledger.close()

    asyncio.run(fill())

    def invoke(*arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(app, [*arguments])
        assert done.exit_code == code, (done.output, done.exception)
        return done

    return invoke


def _document(done: Result) -> Any:
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--student", "bea"],
        ["rebuild", "--student", "bea"],
        ["reconcile", "--student", "bea"],
        ["response", "void", "--student", "bea", "--reason", "x", RESPONSE],
        ["learner", "show", "bea"],
    ],
)
def test_given_an_unknown_learner_then_each_command_refuses_in_one_way(
    run: Run, arguments: list[str]
) -> None:
    said = " ".join(run(*arguments, code=2).stderr.replace("│", " ").split())
    assert UNKNOWN in said


def test_given_an_unknown_learner_then_erase_and_export_say_so_and_succeed(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "bea.json"
    exported = run("learner", "export", "bea", "-o", str(file))
    assert exported.stderr == f"{UNKNOWN}\n"
    assert json.loads(file.read_bytes())["ledger"]["student_responses"] == []
    for options in (["--dry-run"], ["--yes"], ["--yes", "--json"]):
        assert run("learner", "erase", "bea", *options).stderr == f"{UNKNOWN}\n"
    known = run("learner", "export", "bea", "--tenant", "school-7", "-o", str(file))
    assert known.stderr == ""
    assert run("learner", "erase", "bea", "--tenant", "school-7", "--yes").stderr == ""


@pytest.mark.parametrize("command", ["verify", "rebuild"])
def test_given_a_tenant_then_only_its_learners_are_looked_at(run: Run, command: str) -> None:
    def learners(*options: str) -> int:
        return int(_document(run(command, "--json", *options))["learners"])

    assert learners() == 3
    assert learners("--tenant", "school-7") == 1
    assert learners("--tenant", "school-8", "--student", "bea") == 1
    assert learners("--student", "ann") == 1
    assert learners("--tenant", "school-9") == 0


def test_given_a_learner_when_shown_then_mastery_and_ability_are_listed(run: Run) -> None:
    shown = run("learner", "show", "ann").stdout.splitlines()
    document = _document(run("learner", "show", "ann", "--json"))
    assert shown[0] == "student 'ann' of tenant 'default'"
    concept = min(document["concepts"], key=lambda row: row["concept_id"])
    row = next(line for line in shown if line.startswith(concept["concept_id"]))
    assert row.split()[1] == f"{concept['mastery']:.3f}"
    assert document["abilities"][0]["scale"] in " ".join(shown)
    assert {row["session_id"] for row in document["sessions"]} == {
        response.session_id for response in LOG if response.session_id is not None
    }
