"""The npm package of the contracts: compiled strictly, and tried on a real Redis by Node."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from redis import Redis

from contracts.jobs import JobRequested
from contracts.streams import JOBS, REJECTED, RESPONSES, shards
from tests.security.guarded_redis import GuardedRedis, guarded_redis
from tests.support.servers import server_variables
from tests.support.whole_run import MASTERY_COMMAND, Setting
from workers.reference.channels import EVENT_TYPES
from workers.reference.examples import EXAMPLES

_ROOT = Path(__file__).parents[2]
_SHARDS = 2
_EXAMPLES = "test/schema-examples.ts"


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A compiled copy of the package, one for all processes of this run; its code is in `build`."""
    (source,) = server_variables("TEST_TYPESCRIPT_PACKAGE")
    _require_node(Path(source))
    base = tmp_path_factory.getbasetemp()
    copy = (base if worker_id == "master" else base.parent) / "typescript"
    with FileLock(copy.with_suffix(".lock")):
        if not (copy / "build").exists():
            _compile(Path(source), copy)
    return copy


def _require_node(source: Path) -> None:
    """Skip where Node is older than the package wants it; under CI, fail."""
    wanted = json.loads((source / "package.json").read_text())["engines"]["node"]
    completed = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True)
    if _parts(completed.stdout) < _parts(wanted):
        reason = f"Node is {completed.stdout.strip()}, and {source} wants {wanted}"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.strip().lstrip("v>=").split(".")]


def _compile(source: Path, copy: Path) -> None:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(
        source, copy, ignore=shutil.ignore_patterns("node_modules", "dist", "build", "*.md")
    )
    (copy / "node_modules").symlink_to(source / "node_modules")
    (copy / _EXAMPLES).write_text(_schema_examples(), encoding="utf-8")
    done = subprocess.run(
        [
            copy / "node_modules/.bin/tsc",
            "--noEmit",
            "false",
            "--noEmitOnError",
            "--outDir",
            "build",
        ],
        check=False,
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout


def _schema_examples() -> str:
    """TypeScript in which each event's example has its type, and what is wrong of it has not."""
    names = [event.__name__ for event in EVENT_TYPES]
    lines = [f'import type {{ {", ".join(names)} }} from "../src/index.js";']
    for name, event_type in zip(names, EVENT_TYPES.values(), strict=True):
        example = EXAMPLES[event_type]
        lines.append(f"export const taken{name}: {name} = {_code(example)};")
        wrong: dict[str, dict[str, Any]] = {
            "WithoutData": {key: value for key, value in example.items() if key != "data"},
            "OfAnotherVersion": {**example, "specversion": "2.0"},
            "WithMore": {**example, "data": {**example["data"], "unheard_of": 1}},
            "WithoutParts": {**example, "data": {}},
        }
        for kind, value in wrong.items():
            lines += ["// @ts-expect-error", f"export const {kind}{name}: {name} = {_code(value)};"]
    return "\n".join([*lines, ""])


def _code(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _run_tests(package: Path, *names: str, **environment: str) -> str:
    """Run tests of the package; returns what they said, once all have passed."""
    done = subprocess.run(
        [
            "node",
            *("--test", "--test-concurrency=1", "--test-timeout=120000", "--test-reporter=tap"),
            *(f"build/test/{name}.test.js" for name in names),
        ],
        check=False,
        cwd=package,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# skipped 0\n" in done.stdout, done.stdout
    return done.stdout


def test_given_a_real_redis_then_all_tests_of_the_package_itself_pass(
    package: Path, redis_url: str
) -> None:
    said = _run_tests(
        package, "streams", "publisher", "subscriber", "express", TEST_REDIS_URL=redis_url
    )

    assert "what a killed subscriber was given is claimed by another" in said


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GuardedRedis]:
    """A Redis with the deployed users, and with the one that the docs give a group of its own."""
    with guarded_redis(tmp_path) as started:
        line = next(
            line
            for line in (_ROOT / "docs" / "redis-acl.md").read_text(encoding="utf-8").splitlines()
            if line.startswith("user reports ")
        )
        with started.client() as admin:
            words = line.removesuffix(" #…").split()[1:]
            admin.execute_command("ACL SETUSER", *words, ">secret")
        yield started


def test_given_answers_of_the_package_then_a_worker_returns_their_mastery(
    package: Path, server: GuardedRedis, database_url: str
) -> None:
    setting = Setting(server.url("worker"), {"DATABASE_URL": database_url}, database_url)

    _run_tests(
        package,
        "round-trip",
        **setting.environment(STREAM_SHARDS=f"{_SHARDS}"),
        WORKER=MASTERY_COMMAND,
        PUBLISHER_REDIS_URL=server.url("express"),
        SUBSCRIBER_REDIS_URL=f"redis://reports:secret@127.0.0.1:{server.port}/0",
    )

    with Redis.from_url(server.url()) as admin:
        assert not admin.exists(RESPONSES)
        assert not admin.exists(REJECTED)
        for shard in shards(_SHARDS):
            # Each learner is where the engine expects them: both shards are in use.
            assert admin.xlen(shard.mastery) > 0
            assert not admin.exists(shard.rejected)
        entries: Any = admin.xrange(JOBS)
    # The engine's own role leaves it to that of jobs.
    ((_, fields),) = entries
    assert JobRequested.model_validate_json(fields[b"event"]).data.kind == "verify"
