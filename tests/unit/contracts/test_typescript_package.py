"""The npm package agrees with the engine on versions and shards."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from contracts.streams import shard_of

_ROOT = Path(__file__).parents[3]
_PACKAGE = _ROOT / "contracts" / "typescript"
_CASES = json.loads((_PACKAGE / "test" / "shards.json").read_text(encoding="utf-8"))


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_PACKAGE / name).read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("case", _CASES, ids=str)
def test_given_the_shards_that_node_is_tested_with_then_ours_are_the_same(
    case: dict[str, Any],
) -> None:
    assert shard_of(case["tenant_id"], case["student_id"], case["shards"]) == case["shard"]


def test_given_the_package_then_its_version_and_licence_are_ours() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package, lock = _read("package.json"), _read("package-lock.json")

    assert package["version"] == lock["version"] == project["version"]
    assert lock["packages"][""]["version"] == project["version"]
    assert package["license"] == project["license"]
    assert (_PACKAGE / "LICENSE").read_text() == (_ROOT / "LICENSE").read_text()


def test_given_the_package_then_users_get_ioredis_and_tests_exact_versions() -> None:
    package = _read("package.json")

    assert "dependencies" not in package
    assert list(package["peerDependencies"]) == ["ioredis"]
    for name, version in package["devDependencies"].items():
        assert version == _read("package-lock.json")["packages"][f"node_modules/{name}"]["version"]
