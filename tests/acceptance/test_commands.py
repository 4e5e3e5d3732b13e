"""The commands of the README, as their users run them."""

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.servers import Neo4j
from tests.support.whole_run import MASTERY_COMMAND, Setting, publish, simulated_rows, start_worker
from workers.cli.entry import main

_SERVER_VARIABLES = ("REDIS_URL", "DATABASE_URL", "SUPABASE_", "NEO4J_", "JWT_", "ENVIRONMENT")


def _mastery(
    *arguments: str, directory: Path, **settings: str
) -> "subprocess.CompletedProcess[str]":
    own = {k: v for k, v in os.environ.items() if not k.startswith(_SERVER_VARIABLES)}
    return subprocess.run(
        [MASTERY_COMMAND, *arguments],
        cwd=directory,
        env={**own, "COLUMNS": "120", **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@dataclass(frozen=True)
class Ended:
    """A command that has ended in this process."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def mastery_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run a command in this process: imports take longest, and a traceback fails the test."""
    for name in [name for name in os.environ if name.startswith(_SERVER_VARIABLES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **settings: str) -> Ended:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["mastery", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capsys.readouterr())

    return run


def _csv(
    path: Path, header: tuple[str, ...] = ("student", "item", "concept", "correct", "order")
) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for n in range(60):
            writer.writerow([n % 4, n % 9, n % 3, n % 2, n // 4])
    return path


def test_given_nothing_when_demo_runs_then_a_class_is_reported(
    tmp_path: Path,
) -> None:
    done = _mastery("demo", "--students", "12", "--answers", "30", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no difference" in done.stdout
    report = (tmp_path / "mastery-report.html").read_text()
    assert "<svg" in report
    outside = re.findall(r"""(?:src|href)=["']?https?://|url\(\s*["']?https?:""", report)
    assert outside == []


def test_given_real_responses_when_demo_from_file_then_they_are_reported(
    mastery_here: Callable[..., Ended], tmp_path: Path
) -> None:
    file = _csv(tmp_path / "answers.csv")
    done = mastery_here("demo", "--from", str(file))
    assert done.returncode == 0, done.stderr
    assert "60" in done.stdout


def test_given_a_csv_of_wrong_columns_then_they_and_an_option_are_named(
    mastery_here: Callable[..., Ended], tmp_path: Path
) -> None:
    file = _csv(tmp_path / "answers.csv", ("pupil", "item", "concept", "correct", "order"))
    done = mastery_here("replay", str(file))
    assert done.returncode == 1
    assert "pupil" in done.stderr
    assert "--student" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"REDIS_URL": "http://localhost"}, "REDIS_URL"),
        ({"BATCH_SIZE": "many"}, "BATCH_SIZE"),
        ({"SUPABASE_URL": "http://localhost:1"}, "SUPABASE_SERVICE_ROLE_KEY"),
        ({"NEO4J_URI": "bolt://localhost:1"}, "NEO4J_PASSWORD"),
        ({"JWT_MODE": "verify"}, "JWT_MODE"),
        ({"ENVIRONMENT": "production"}, "REDIS_URL"),
    ],
)
def test_given_a_wrong_setting_then_the_worker_names_it_and_never_starts(
    settings: dict[str, str], named: str, mastery_here: Callable[..., Ended]
) -> None:
    done = mastery_here("worker", **settings)
    assert done.returncode == 1
    assert named in done.stderr


def test_given_a_wrong_setting_as_a_command_then_there_is_no_traceback(
    tmp_path: Path,
) -> None:
    done = _mastery("migrate", "current", directory=tmp_path, REDIS_URL="http://localhost")
    assert done.returncode == 1
    assert "REDIS_URL" in done.stderr
    assert "Traceback" not in done.stderr


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("server", ["redis", "ledger"])
def test_given_an_unreachable_server_then_the_worker_ends_and_names_it(
    server: str, mastery_here: Callable[..., Ended]
) -> None:
    url = f"127.0.0.1:{_closed_port()}"
    settings = (
        {"REDIS_URL": f"redis://{url}"}
        if server == "redis"
        else {"DATABASE_URL": f"postgresql://postgres@{url}/postgres"}
    )
    done = mastery_here("worker", HTTP_PORT="0", **settings)
    assert done.returncode == 1
    assert f"{server} is unavailable" in done.stderr
    assert "Traceback" not in done.stderr


def test_given_all_servers_when_checked_then_a_missing_schema_is_named(
    redis_url: str, database_url: str, empty_database_url: str, neo4j: Neo4j, tmp_path: Path
) -> None:
    servers = {"REDIS_URL": redis_url, **neo4j.environment}
    well = _mastery("check", directory=tmp_path, DATABASE_URL=database_url, **servers)
    assert (well.returncode, well.stdout.count(" ok")) == (0, 4), well.stdout
    ill = _mastery("check", directory=tmp_path, DATABASE_URL=empty_database_url, **servers)
    assert ill.returncode == 1
    assert "mastery migrate up" in ill.stdout


def test_given_an_empty_database_migrated_up_and_down_then_history_tells(
    empty_database_url: str, tmp_path: Path
) -> None:
    def migrate(*arguments: str) -> str:
        done = _mastery("migrate", *arguments, directory=tmp_path, DATABASE_URL=empty_database_url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "pending" in migrate("history")
    assert "applied" in migrate("up")
    newest = migrate("current").strip()
    assert "pending" not in migrate("history")
    assert newest in migrate("down", "--yes")
    assert "pending" in migrate("history")


async def test_given_an_altered_replay_when_verified_then_the_value_is_named(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    import asyncpg

    settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
    file = _csv(tmp_path / "answers.csv")
    replayed = _mastery("replay", str(file), directory=tmp_path, **settings)
    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.startswith("60 responses")
    well = _mastery("verify", directory=tmp_path, **settings)
    assert (well.returncode, "no difference" in well.stdout) == (0, True), well.stdout
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "update public.concept_mastery set mastery = mastery + 1e-7 "
            "where student_id = '1' and concept_id = '2'"
        )
    finally:
        await connection.close()
    ill = _mastery("verify", directory=tmp_path, **settings)
    assert ill.returncode == 1
    assert "student '1': concept_mastery.mastery of '2'" in ill.stdout


def _answer(url: str, *, status: int, within_s: float = 90) -> Any:
    until = time.monotonic() + within_s
    while True:
        try:
            answer = httpx.get(url, timeout=5)
            if answer.status_code == status:
                return answer
        except httpx.TransportError:
            pass
        assert time.monotonic() < until, f"{url} did not answer {status} within {within_s} s"
        time.sleep(0.2)


async def test_given_a_worker_inspected_and_stopped_then_it_tells_the_truth(
    redis_url: str, database_url: str, neo4j: Neo4j
) -> None:
    port = _closed_port()
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url, neo4j.environment)
    rows = simulated_rows(300, 10)
    await publish(redis_url, rows)
    worker = start_worker(setting, HTTP_PORT=str(port))
    try:
        url = f"http://127.0.0.1:{port}"
        health = _answer(f"{url}/health/ready", status=200).json()
        assert health["status"] == "healthy"
        assert set(health["checks"]) == {"clock", "redis", "ledger", "graph", "consumer"}
        _answer(f"{url}/health/live", status=200)
        assert "practice.mastery.changed.v1" in _answer(f"{url}/asyncapi.yaml", status=200).text
        _answer(f"{url}/docs", status=200)
        until = time.monotonic() + 30
        while (
            f"mastery_responses_applied_total {len(rows)}.0" not in httpx.get(f"{url}/metrics").text
        ):
            assert time.monotonic() < until, "not all responses were counted"
            time.sleep(0.2)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=30) == 0
    finally:
        worker.kill()
        worker.wait()


def test_given_a_taken_http_port_when_a_burst_runs_then_it_needs_none(
    mastery_here: Callable[..., Ended],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = mastery_here("worker", "--burst", HTTP_PORT=port, LOG_LEVEL="WARNING")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
