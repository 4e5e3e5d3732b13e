"""A compiled copy of the npm package of the contracts, with the examples of all events."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from filelock import FileLock

from workers.reference.channels import EVENT_TYPES
from workers.reference.examples import EXAMPLES

TYPESCRIPT_PACKAGE: Final = Path(__file__).parents[2] / "contracts" / "typescript"
_EXAMPLES: Final = "test/schema-examples.ts"


def compiled_package(source: Path, copy: Path) -> None:
    """Copy and compile the package once, whichever process comes first; its code is in `build`.

    Args:
        source: the package with its installed dependencies.
        copy: the folder of the copy.
    """
    _require_node(source)
    with FileLock(copy.with_suffix(".lock")):
        if not (copy / "build").exists():
            _compile(source, copy)


def _require_node(source: Path) -> None:
    """Skip where Node is older than the package wants it; under CI, fail."""
    wanted = json.loads((source / "package.json").read_text())["engines"]["node"]
    completed = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True)
    if version_parts(completed.stdout) < version_parts(wanted):
        reason = f"Node is {completed.stdout.strip()}, and {source} wants {wanted}"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def version_parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.strip().lstrip("v>=").split("."))


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
