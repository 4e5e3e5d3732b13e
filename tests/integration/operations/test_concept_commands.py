"""`mastery concepts list|export` on a real ledger, as a person runs them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from workers.cli.main import app

MAP = {
    "concepts": [
        {"id": "add", "name": "Addition", "scale": "math", "prerequisites": []},
        {"id": "mul", "name": "mul", "scale": "default", "prerequisites": ["add"]},
    ],
    "items": [
        {"id": "q1", "concept_ids": ["add", "mul"], "scale": "math"},
        {"id": "q2", "concept_ids": ["add"], "scale": "default"},
    ],
}

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "NEO4J_URI", "NEO4J_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("LOG_LEVEL", "WARNING")

    def invoke(*arguments: str) -> Result:
        done = CliRunner().invoke(app, ["concepts", *arguments])
        assert done.exit_code == 0, (done.output, done.exception)
        return done

    return invoke


def test_given_a_map_when_exported_then_it_imports_as_the_same(run: Run, tmp_path: Path) -> None:
    file, copy = tmp_path / "map.json", tmp_path / "copy.json"
    file.write_text(json.dumps(MAP))
    run("import", str(file))

    listed = run("list").stdout.splitlines()
    assert listed[0].split() == ["concept", "name", "scale", "prerequisites"]
    assert listed[2].split() == ["mul", "mul", "default", "add"]
    assert json.loads(run("list", "--json").stdout) == MAP["concepts"]

    run("export", "-o", str(copy))
    assert json.loads(copy.read_text()) == MAP
    assert json.loads(run("export").stdout) == MAP
    again = json.loads(run("import", str(copy), "--json").stdout)
    assert again["concepts"]["unchanged"] == ["add", "mul"]
    assert again["items"]["unchanged"] == ["q1", "q2"]


def test_given_no_map_when_listed_and_exported_then_that_is_said(run: Run) -> None:
    said = "tenant 'school-9' has no concept map: `mastery concepts import` loads one\n"
    listed = run("list", "--tenant", "school-9")
    assert (listed.stdout, listed.stderr) == ("", said)
    exported = run("export", "--tenant", "school-9")
    assert json.loads(exported.stdout) == {"concepts": [], "items": []}
    assert exported.stderr == said
