"""The AsyncAPI document and the JSON Schemas, judged by the tools their readers use."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

_ROOT = Path(__file__).parents[2]
_NODE = Path(__file__).parent / "node"


async def _parsed(node_modules: Path, file: Path, *schemas: Path) -> Any:
    return await _run("parse_asyncapi.cjs", node_modules, file, *schemas)


async def _run(script: str, *arguments: Path) -> Any:
    process = await asyncio.create_subprocess_exec(
        "node", _NODE / script, *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), timeout=120)
    assert process.returncode == 0, errors.decode()
    return json.loads(output)


async def test_given_the_kept_document_when_parsed_then_there_is_no_finding(
    node_modules: Path,
) -> None:
    parsed = await _parsed(node_modules, _ROOT / "asyncapi.yaml")

    assert parsed["diagnostics"] == []
    of = {(o["action"], o["address"], o["message"]) for o in parsed["operations"]}
    assert of == {
        ("receive", "practice.responses.v1", "practice.response.recorded.v1"),
        ("receive", "practice.responses.v1", "practice.response.recorded.v0"),
        ("send", "practice.mastery.v1", "practice.mastery.changed.v1"),
        ("send", "practice.unlocked.v1", "practice.concept.unlocked.v1"),
        ("send", "practice.rejected.v1", "practice.response.rejected.v1"),
        ("receive", "practice.jobs.v1", "practice.job.requested.v1"),
        ("send", "/v1/ws/students/{student_id}/mastery", "LiveMastery"),
        ("send", "/v1/ws/jobs/{job_id}", "JobProgress"),
    }
    assert {o["contentType"] for o in parsed["operations"] if "/" not in o["address"]} == {
        "application/cloudevents+json"
    }
    assert {o["payload"] for o in parsed["operations"]} == {"object"}
    deprecated = [o["message"] for o in parsed["operations"] if o["deprecated"]]
    assert deprecated == ["practice.response.recorded.v0"]


async def test_given_the_kept_document_when_linted_then_there_is_no_finding(
    node_modules: Path, tmp_path: Path
) -> None:
    assert await _run("lint_asyncapi.cjs", node_modules, _ROOT / "asyncapi.yaml") == []
    document = yaml.safe_load((_ROOT / "asyncapi.yaml").read_text(encoding="utf-8"))
    del document["info"]["contact"]
    (tmp_path / "asyncapi.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    (finding,) = await _run("lint_asyncapi.cjs", node_modules, tmp_path / "asyncapi.yaml")
    assert finding.startswith("1 asyncapi-info-contact")


@pytest.mark.parametrize(
    ("path", "value", "finding"),
    [
        (("operations", "sendMastery", "action"), "publish", "0 asyncapi-document-resolved"),
        (("operations", "sendMastery", "channel", "$ref"), "#/channels/no", "0 invalid-ref"),
        (("asyncapi",), "3.0.0", "2 asyncapi-latest-version"),
    ],
)
async def test_given_a_wrong_document_when_parsed_then_there_is_a_finding(
    path: tuple[str, ...], value: str, finding: str, node_modules: Path, tmp_path: Path
) -> None:
    document = yaml.safe_load((_ROOT / "asyncapi.yaml").read_text(encoding="utf-8"))
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    wrong = tmp_path / "asyncapi.yaml"
    wrong.write_text(yaml.safe_dump(document), encoding="utf-8")

    parsed = await _parsed(node_modules, wrong)

    assert any(problem.startswith(finding) for problem in parsed["diagnostics"])


async def test_given_the_kept_schemas_then_ajv_accepts_our_events_and_no_others(
    node_modules: Path,
) -> None:
    files = sorted((_ROOT / "contracts" / "schemas").glob("*.json"))

    parsed = await _parsed(node_modules, _ROOT / "asyncapi.yaml", *files)

    assert len(parsed["schemas"]) == 6
    for file, schema in zip(files, parsed["schemas"], strict=True):
        assert schema["id"] == f"urn:mastery-engine:{file.stem}"
        assert schema["examples"] == [[]]
        assert schema["withoutData"]
        assert schema["ofAnotherType"]
