"""`mastery parameters` on a real database: import, activate, list, show and export."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.parameters_documents import NEWER, OTHER
from workers.cli.main import app
from workers.common.errors import InputFileError, ParametersOutdated, ParametersRefused
from workers.ledger.sql.direct import DirectLedger


@pytest.fixture
def run(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)
    for name in ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "NEO4J_URI", "NEO4J_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LOG_LEVEL", "WARNING")

    def invoke(*arguments: str, fails: type[BaseException] | None = None) -> str:
        done = CliRunner().invoke(app, ["parameters", *arguments], env={"COLUMNS": "300"})
        if fails is not None:
            assert isinstance(done.exception, fails), (done.output, done.exception)
            return done.output if fails is SystemExit else str(done.exception)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    return invoke


def test_given_a_file_imported_activated_and_exported_then_it_is_the_same(
    run: Callable[..., str], tmp_path: Path
) -> None:
    content = {
        "model": "bkt",
        "note": "by hand",
        "diagnostics": {"log_likelihood": -1.5, "decision": "mine"},
        "parameters": {**OTHER, "version": 9, "mastery_threshold": 0.5},
    }
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(content))

    assert "stored as version 2" in run("import", str(file))
    assert "version 2 is active; 0 learners" in run("activate", "2", "--reason", "why not")
    listed = run("list").splitlines()
    assert listed[0].split()[:2] == ["1", "classical"]
    assert listed[1].split()[:3] == ["*", "2", "bkt"]
    assert listed[2].endswith(": why not")
    as_json = json.loads(run("list", "--json"))
    assert (as_json["active"]["version"], as_json["active"]["reason"]) == (2, "why not")
    assert [version["version"] for version in as_json["versions"]] == [1, 2]

    shown = run("show", "2")
    assert "version      2, active" in shown
    assert '"log_likelihood": -1.5' in shown
    assert "decision     " not in shown
    assert json.loads(run("show", "2", "--json"))["document"] == OTHER

    exported = tmp_path / "exported.json"
    run("export", "2", "--output", str(exported))
    assert json.loads(exported.read_text()) == {**content, "parameters": OTHER}
    assert json.loads(run("export", "2")) == json.loads(exported.read_text())
    again = run("import", str(exported))
    assert (
        again == "nothing is stored: version 2 has the same model and parameters, and is active\n"
    )
    assert "version 1 is active" in run("activate", "1")
    assert "`mastery parameters activate 2` activates it" in run("import", str(exported))
    built_in = tmp_path / "built-in.json"
    run("export", "1", "--output", str(built_in))
    assert "version 1 has the same" in run("import", str(built_in))
    exported.write_text(json.dumps({**content, "model": "mine"}))
    assert "stored as version 3" in run("import", str(exported))
    assert [version["version"] for version in json.loads(run("list", "--json"))["versions"]] == [
        1,
        2,
        3,
    ]
    assert run("list").splitlines()[0].startswith("*")
    assert "none is calibrated" in run("show", "1")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not a version of the parameters"),
        ('{"parameters": {}}', "model: Field required"),
        ('{"model": "bkt", "parameters": {}, "x": 1}', "x: Extra inputs"),
        ('{"model": "bkt", "parameters": {}}', "older formulas of this engine (formulas 1"),
        (
            '{"model": "bkt", "parameters": {"formulas": 2, "defaults": {}}}',
            "parameters.defaults: Unexpected",
        ),
        (
            '{"model": "bkt", "parameters": {"formulas": 2, "version": 9, "scales": []}}',
            "parameters.scales: Input",
        ),
        (None, "can't be read: No such file"),
    ],
)
def test_given_a_wrong_file_then_its_field_is_named_and_nothing_is_stored(
    run: Callable[..., str], tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "mine.json"
    if content is not None:
        file.write_text(content)

    assert said in run("import", str(file), fails=InputFileError)
    assert [version["version"] for version in json.loads(run("list", "--json"))["versions"]] == [1]


def test_given_older_formulas_active_then_version_1_can_be_activated(
    run: Callable[..., str], database_url: str
) -> None:
    async def store() -> None:
        ledger = DirectLedger(database_url)
        try:
            version = await ledger.store("bkt", {"default": OTHER["default"]}, {}, "")
            await ledger.activate(version, "before the upgrade")
        finally:
            await ledger.close()

    asyncio.run(store())
    assert "or activate version 1" in run("show", "2", fails=ParametersOutdated)
    assert "or activate version 1" in run("activate", "2", fails=ParametersOutdated)
    assert json.loads(run("export", "2"))["parameters"] == {"default": OTHER["default"]}
    assert "version 1 is active" in run("activate", "1")


def test_given_a_missing_or_unreadable_version_then_it_is_not_activated(
    run: Callable[..., str], database_url: str, tmp_path: Path
) -> None:
    async def store() -> int:
        ledger = DirectLedger(database_url)
        try:
            return await ledger.store("newer", NEWER, {}, "")
        finally:
            await ledger.close()

    version = str(asyncio.run(store()))
    assert "no version 7" in run("activate", "7", fails=ParametersRefused)
    assert "no version 7" in run("show", "7", fails=ParametersRefused)
    assert "upgrade it" in run("activate", version, fails=ParametersRefused)
    assert json.loads(run("list", "--json"))["active"]["version"] == 1
    nowhere = str(tmp_path / "no" / "x")
    assert "is not a directory" in run("export", version, "-o", nowhere, fails=SystemExit)
