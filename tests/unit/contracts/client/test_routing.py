"""Streams, shards and tenants, as the engine finds them; light imports."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from contracts import ConceptUnlocked, MasteryChanged, ResponseRecorded, ResponseRejected
from contracts.client import Publisher, stream_names, tenant_of
from contracts.client.starting import starts
from contracts.streams import shards
from tests.support.factories import event_json

_ROOT = Path(__file__).parents[4]


def test_given_shards_then_the_streams_are_those_of_the_engine() -> None:
    for count in (0, 1, 3):
        engine = shards(count)
        assert stream_names(MasteryChanged, count) == [shard.mastery for shard in engine]
        assert stream_names(ConceptUnlocked, count) == [shard.unlocked for shard in engine]
        assert stream_names(ResponseRejected, count) == [shard.rejected for shard in engine]


def test_given_what_is_not_published_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="one of MasteryChanged"):
        stream_names(ResponseRecorded)
    with pytest.raises(ValueError, match="STREAM_SHARDS"):
        stream_names(MasteryChanged, -1)
    with pytest.raises(ValueError, match="STREAM_SHARDS"):
        Publisher(None, shards=1025)


@pytest.mark.parametrize(
    ("given", "claim", "tenant"),
    [
        ({"tenant_id": "a"}, "tenant_id", "a"),
        ({"org": {"id": "b"}, "tenant_id": "a"}, "org.id", "b"),
        ({"app_metadata": {"tenant_id": "c"}}, "tenant_id", "c"),
        ({"tenant_id": None, "app_metadata": {"tenant_id": "c"}}, "tenant_id", "c"),
        ({}, "tenant_id", "default"),
    ],
)
def test_given_claims_then_the_tenant_is_the_one_of_the_engine(
    given: Any, claim: str, tenant: str
) -> None:
    assert tenant_of(given, claim) == tenant


def test_given_a_tenant_that_is_no_string_then_it_is_refused() -> None:
    with pytest.raises(TypeError, match="tenant_id"):
        tenant_of({"tenant_id": 7})


def test_given_an_answer_then_its_stream_is_the_shard_of_its_learner() -> None:
    recorded = ResponseRecorded.model_validate_json(
        event_json("schüler-1", tenant_id="Schule-Größe")
    )

    assert Publisher(None).stream_of(recorded) == "practice.responses.v1"
    assert Publisher(None, shards=7).stream_of(recorded) == "practice.responses.v1.{5}"


def test_given_positions_without_a_stream_then_no_group_is_made() -> None:
    assert starts(["a", "b"], "$") == {"a": "$", "b": "$"}
    assert starts(["a"], {"a": "5-0", "other": "1-0"}) == {"a": "5-0"}
    with pytest.raises(ValueError, match="start_at lacks b"):
        starts(["a", "b"], {"a": "5-0"})


def test_given_the_client_then_it_imports_redis_and_pydantic_alone() -> None:
    code = (
        "import sys, contracts.client, contracts.client.asyncio;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}"
        " - set(sys.stdlib_module_names)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()

    heavy = {"workers", "numpy", "scipy", "faststream", "asyncpg", "supabase", "neo4j", "httpx"}
    assert {"redis", "pydantic", "contracts"} <= set(loaded)
    assert heavy.isdisjoint(loaded)


def test_given_the_small_package_then_its_version_and_bounds_are_ours() -> None:
    engine, small = (
        tomllib.loads((_ROOT / name / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for name in (".", "contracts")
    )

    assert {small[key] for key in ("version", "license")} == {engine["version"], engine["license"]}
    for requirement in small["dependencies"]:
        name, _, bound = requirement.partition(">=")
        assert any(
            other.partition("[")[0].partition(">=")[0] == name and other.endswith(f">={bound}")
            for other in engine["dependencies"]
        )
