"""A new user follows the README to the letter: from a clone to the first mastery event."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

from tests.support.browser import Browser
from tests.support.fences import code_blocks
from tests.support.running import free_port, running

_ROOT: Final = Path(__file__).parents[2]
_SECTION: Final = "Try it with Express"
_LEAVE_IT: Final = "leave it running"
_MOST_COMMANDS: Final = 5
_WITHIN_S: Final = 180.0
_CLONING: Final = ("git clone", "cd")
_NOT_CLONED: Final = (".venv", "node_modules", "__pycache__", ".*_cache", "build", "dist")
_FOREIGN: Final = (
    "REDIS_", "DATABASE_", "SUPABASE_", "NEO4J_", "JWT_", "ENVIRONMENT", "HTTP_", "STREAM_", "COV",
    "VIRTUAL_ENV", "PYTEST_", "EMBEDDED_", "LOG_", "OUTBOX_",
)  # fmt: skip


def _clone(target: Path) -> None:
    """Copy what a clone has, changes that are not committed yet included."""
    if not (_ROOT / ".git").exists():  # an archive of the repository
        shutil.copytree(_ROOT, target, ignore=shutil.ignore_patterns(*_NOT_CLONED))
        return
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=_ROOT, check=True, capture_output=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.decode().split("\0")):
        if (_ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_ROOT / name, target / name)


async def test_given_the_readme_when_followed_then_mastery_moves(
    tmp_path: Path, node_modules: Path, chromium: Path
) -> None:
    (block,) = code_blocks(_ROOT / "README.md", "sh", heading=_SECTION)
    commands = block.splitlines()
    assert len(commands) + len(_CLONING) <= _MOST_COMMANDS
    page = re.search(
        r"Open <(http://127\.0\.0\.1:3000/)>", (_ROOT / "README.md").read_text("utf-8")
    )
    assert page is not None
    http_port, port = free_port(), free_port()
    # Only the ports are not the README's, and packages of earlier runs are not fetched again.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)} | {
        "HTTP_PORT": f"{http_port}",
        "MASTERY_URL": f"http://127.0.0.1:{http_port}",
        "PORT": f"{port}",
        "npm_config_prefer_offline": "true",
    }

    began = time.monotonic()
    clone = tmp_path / "mastery-engine"
    _clone(clone)
    with contextlib.ExitStack() as left_running:
        left_running.callback(shutil.rmtree, clone)  # its environment is large
        logs = []
        for number, command in enumerate(commands):
            if _LEAVE_IT in command:
                logs.append(tmp_path / f"{number}.log")
                left_running.enter_context(
                    running(["bash", "-c", command], clone, environment, logs[-1])
                )
                continue
            subprocess.run(
                ["bash", "-c", command], cwd=clone, env=environment, check=True, timeout=_WITHIN_S
            )
        while "is ready at" not in logs[-1].read_text():
            assert time.monotonic() - began < _WITHIN_S, [log.read_text() for log in logs]
            time.sleep(0.1)
        seen = await Browser(node_modules, chromium).open(
            page[1].replace(":3000", f":{port}"),
            "Live.",
            steps=[["click", "#right"], ["see", "Mastery moved"]],
        )
        moved_s = time.monotonic() - began
        (curl,) = code_blocks(_ROOT / "docs" / "express.md", "sh", heading="Run it")
        answered = subprocess.run(
            ["bash", "-c", curl.replace(":3000", f":{port}")],
            cwd=clone, env=environment, check=True, capture_output=True, timeout=_WITHIN_S,
        ).stdout  # fmt: skip
    assert moved_s < _WITHIN_S
    assert json.loads(answered)["mastery"][0]["concept_id"] == "fractions.add"
    assert "practice.mastery.changed.v1" in seen["text"]
    assert seen["problems"] == seen["refused"] == []
    assert [view["violations"] for view in seen["views"]] == [[], []]
    assert [view["wider"] for view in seen["views"]] == [0, 0]
