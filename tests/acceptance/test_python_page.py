"""docs/python.md and docs/library.md to the letter: publish, work, subscribe; and a notebook."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from contracts.streams import MASTERY, REJECTED
from tests.security.guarded_redis import GuardedRedis, guarded_redis
from tests.support.calibrated import LAST_STEP
from tests.support.factories import claims
from tests.support.page_code import DOCS, blocks, run_python
from tests.support.whole_run import MASTERY_COMMAND, Setting
from workers.estimation.documents import parameters_document
from workers.estimation.library import Parameters, State, answer, update

_ROOT = DOCS.parent
_CLIENT = blocks(DOCS / "python.md", "python")
_LIBRARY = blocks(DOCS / "library.md", "python")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GuardedRedis]:
    """A Redis with the deployed users."""
    with guarded_redis(tmp_path) as started:
        yield started


async def test_given_the_client_page_then_answers_come_back_as_mastery(
    server: GuardedRedis, database_url: str
) -> None:
    publishing, plain, asynchronous, following = _CLIENT
    now = int(time.time())
    subscriber = server.url("consumer")
    sent = claims(iat=now, exp=now + 3_600)
    for _ in range(2):
        # Two runs are two answers on one concept.
        names: dict[str, Any] = {
            "redis_url": server.url("express"),
            "claims": sent,
            "token": "eyJ",
        }
        await run_python(publishing, names)
    setting = Setting(server.url("worker"), {"DATABASE_URL": database_url}, database_url)
    subprocess.run(
        [MASTERY_COMMAND, "worker", "--burst", "--role", "engine"],
        check=True,
        env=setting.environment(JWT_MODE="trust"),
        timeout=300,
    )

    current = {}
    for block in (plain, asynchronous):
        done = await run_python(block, {"redis_url": subscriber, "wanted": 1})
        current[block] = done["current"]
    followed = await run_python(following, {"redis_url": server.url("subscriber"), "wanted": 2})

    with Redis.from_url(server.url()) as admin:
        assert not admin.exists(REJECTED)
        entries: Any = admin.xrange(MASTERY)
    events = [json.loads(fields[b"event"]) for _, fields in entries]
    assert [event["correlationid"] for event in events] == ["req-7f3a", "req-7f3a"]
    assert followed["seen"] == [event["data"]["version"] for event in events]
    for found in current.values():
        assert list(found) == [("student-42", "fractions.add")]
        assert 0 < found["student-42", "fractions.add"] < 1


async def test_given_the_library_page_then_it_runs_as_a_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    document = {"parameters": parameters_document(LAST_STEP)}
    (tmp_path / "two.json").write_text(json.dumps(document), encoding="utf-8")
    first, own, exported, keep, column = _LIBRARY
    names = await run_python(first, {})
    shown = capsys.readouterr().out.split()
    await run_python(keep, names)
    assert (await run_python(own, {}))["parameters"].concepts["fractions.add"].mastery.slip == 0.08
    assert (await run_python(exported, {}))["outcome"].concepts[0].interval is not None
    rows = [("s1", "a", True), ("s2", "a", False), ("s1", "a", True)]
    predictions = (await run_python(column, {"rows": rows}))["predictions"]

    state = State()
    for number, correct in enumerate((False, True, True, True)):
        state, outcome = update(state, answer("fractions.add", correct, number), Parameters())
    assert names["state"] == state
    assert shown[0] == repr(outcome.concepts[0].mastery)
    assert predictions[0] == predictions[1] < predictions[2]


def test_given_the_small_package_then_it_has_the_version_and_all_modules(tmp_path: Path) -> None:
    subprocess.run(
        ["uv", "build", "-q", "--offline", "--wheel", "contracts", "-o", tmp_path],
        check=True,
        cwd=_ROOT,
        timeout=300,
    )
    listed = subprocess.run(
        [
            "python3",
            "-m",
            "zipfile",
            "-l",
            tmp_path / "mastery_engine_contracts-0.1.0-py3-none-any.whl",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    packed = {line.split()[0] for line in listed.splitlines()}
    modules = {
        f"contracts/{file.relative_to(_ROOT / 'contracts')}"
        for file in (_ROOT / "contracts").rglob("*.py")
        if "typescript" not in file.parts
    }

    assert modules | {"contracts/py.typed"} <= packed
    assert not [name for name in packed if "typescript" in name or name.startswith("workers")]
