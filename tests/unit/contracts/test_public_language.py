"""The package `contracts`: what it exports, what it imports, names of streams and shards."""

import ast
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contracts
from contracts.streams import (
    ENGINE_GROUP,
    EVENT_FIELD,
    GRAPH_GROUP,
    JOBS,
    JOBS_GROUP,
    MASTERY,
    REJECTED,
    RESPONSES,
    UNLOCKED,
    Shard,
    shard_of,
    shards,
)

FILES = sorted(Path(contracts.__file__).parent.glob("**/*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_given_a_contract_then_none_of_its_imports_is_of_the_workers(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not [name for name in names if name.split(".")[0] == "workers"]


def test_given_a_python_publisher_then_contracts_load_nothing_else() -> None:
    code = "import sys, contracts; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {"workers", "faststream", "redis", "supabase", "neo4j", "numpy"} & set(loaded)


def test_given_the_public_names_when_listed_then_each_is_there() -> None:
    assert [name for name in contracts.__all__ if not hasattr(contracts, name)] == []
    assert sorted(contracts.__all__) == contracts.__all__


def test_given_the_interface_then_streams_groups_and_field_have_its_names() -> None:
    assert (RESPONSES, MASTERY, REJECTED, JOBS, UNLOCKED) == (
        "practice.responses.v1",
        "practice.mastery.v1",
        "practice.rejected.v1",
        "practice.jobs.v1",
        "practice.unlocked.v1",
    )
    assert (ENGINE_GROUP, GRAPH_GROUP, JOBS_GROUP) == (
        "mastery-engine",
        "graph-projector",
        "mastery-jobs",
    )
    assert EVENT_FIELD == "event"


def test_given_no_shards_when_named_then_the_plain_names_are_used() -> None:
    assert shards(0) == (Shard(RESPONSES, MASTERY, REJECTED, UNLOCKED),)
    assert shard_of("school-7", "student-42", 0) == 0


def test_given_shards_when_named_then_the_braces_are_part_of_the_names() -> None:
    assert shards(1) == (
        Shard(
            "practice.responses.v1.{0}",
            "practice.mastery.v1.{0}",
            "practice.rejected.v1.{0}",
            "practice.unlocked.v1.{0}",
        ),
    )
    assert [shard.responses for shard in shards(3)] == [
        f"practice.responses.v1.{{{k}}}" for k in range(3)
    ]


# CRC-32 computed with gzip(1): printf %s school-7/student-42 | gzip -c | tail -c8 | od -An -tu4 -N4
@pytest.mark.parametrize(
    ("tenant", "student", "crc"), [("school-7", "student-42", 3991687694), ("ß", "é😀", 1716797358)]
)
def test_given_a_learner_when_sharded_then_it_is_the_crc_of_the_utf_8_text(
    tenant: str, student: str, crc: int
) -> None:
    for count in (1, 2, 7, 16, 1024):
        assert shard_of(tenant, student, count) == crc % count


@given(st.text(), st.text(), st.integers(1, 1024))
def test_given_any_learner_when_sharded_then_it_is_one_of_the_shards(
    tenant: str, student: str, count: int
) -> None:
    shard = shard_of(tenant, student, count)
    assert 0 <= shard < len(shards(count))
    assert shard == zlib.crc32(f"{tenant}/{student}".encode()) % count
