"""FastStream's own command line runs the worker and shows its document."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

FASTSTREAM = str(Path(sys.executable).with_name("faststream"))
APP = "workers.app.application:app"
_ROOT = Path(__file__).parents[2]
_FOREIGN = ("REDIS_", "DATABASE_URL", "SUPABASE_", "NEO4J_", "JWT_", "ENVIRONMENT", "HTTP_")


def _start(*arguments: str, directory: Path, **settings: str) -> "subprocess.Popen[str]":
    own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return subprocess.Popen(
        [FASTSTREAM, *arguments],
        cwd=directory,
        env={**own, "LOG_FORMAT": "json", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answer(url: str, process: "subprocess.Popen[str]") -> httpx.Response:
    until = time.monotonic() + 60
    while True:
        try:
            return httpx.get(url, timeout=5)
        except httpx.TransportError:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until, f"{url} does not answer"
            time.sleep(0.2)


@pytest.fixture
def port() -> int:
    return _free_port()


def test_given_the_app_when_faststream_runs_it_then_it_is_a_worker(
    tmp_path: Path, port: int
) -> None:
    worker = _start("run", APP, directory=tmp_path, HTTP_PORT=str(port))
    try:
        health: Any = _answer(f"http://127.0.0.1:{port}/health", worker).json()
        assert set(health["checks"]) >= {"redis", "ledger", "graph", "consumer"}
        worker.send_signal(signal.SIGTERM)
        _, errors = worker.communicate(timeout=30)
    finally:
        worker.kill()
    assert worker.returncode == 0
    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert (events[0], events[-1]) == ("http_started", "worker_stopped")


def test_given_a_wrong_setting_when_faststream_runs_then_it_is_named(tmp_path: Path) -> None:
    worker = _start("run", APP, directory=tmp_path, BATCH_SIZE="many")
    _, errors = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert errors.startswith("mastery: settings are wrong:\n  BATCH_SIZE")


def test_given_the_app_when_faststream_documents_it_then_it_is_ours(
    tmp_path: Path, port: int
) -> None:
    written = _start("docs", "gen", APP, "--yaml", directory=tmp_path)
    written.communicate(timeout=60)
    assert written.returncode == 0
    kept = (_ROOT / "asyncapi.yaml").read_text(encoding="utf-8")
    assert (tmp_path / "asyncapi.yaml").read_text(encoding="utf-8") == kept

    served = _start("docs", "serve", APP, "--port", str(port), directory=tmp_path)
    try:
        page = _answer(f"http://127.0.0.1:{port}/", served)
    finally:
        served.kill()
        served.communicate()
    assert page.status_code == 200
    assert "practice.mastery.changed.v1" in page.text
