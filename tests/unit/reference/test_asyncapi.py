"""The AsyncAPI document and the schemas are those of the code, and the kept files are theirs."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic.json_schema import models_json_schema
from typer.testing import CliRunner

from contracts.envelope import CloudEvent
from contracts.upcasting import UPCASTERS
from workers.cli.asyncapi import drifted, write
from workers.cli.main import app
from workers.common.errors import InputFileError
from workers.common.version import package_version
from workers.reference.asyncapi import build_document, event_schema
from workers.reference.channels import CHANNELS, EVENT_TYPES
from workers.reference.compatibility.released import RELEASED
from workers.reference.examples import EXAMPLES

_ROOT = Path(__file__).parents[3]
COMMAND = typer.main.get_command(app)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of what the generated files lie in."""
    (tmp_path / "contracts").mkdir()
    shutil.copy(_ROOT / "contracts" / "envelope.py", tmp_path / "contracts")
    write(tmp_path, COMMAND)
    return tmp_path


def _files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_given_this_repository_when_checked_then_nothing_has_drifted() -> None:
    assert drifted(_ROOT, COMMAND) == []


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_given_an_example_when_validated_then_the_model_takes_it_whole(
    event: type[CloudEvent[Any]],
) -> None:
    example = EXAMPLES[EVENT_TYPES[event]]

    made = event.model_validate_json(json.dumps(example))

    # What the model does not know it would have left out.
    kept = made.model_dump(mode="json", exclude_unset=True)
    assert _paths(kept) == _paths(example)


def _paths(value: Any, path: str = "") -> set[str]:
    if not isinstance(value, dict):
        return {path}
    return {leaf for key, inner in value.items() for leaf in _paths(inner, f"{path}/{key}")}


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_given_an_event_when_its_schema_is_made_then_it_is_complete(
    event: type[CloudEvent[Any]],
) -> None:
    schema = event_schema(event)

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:mastery-engine:{EVENT_TYPES[event]}"
    assert schema["title"] == event.__name__
    assert schema["description"]
    of_type = schema["properties"]["type"]
    assert re.search(of_type.get("pattern", of_type.get("const")), EVENT_TYPES[event])
    assert not re.search(of_type.get("pattern", of_type.get("const")), "practice.other.v1")
    assert [example["type"] for example in schema["examples"]] == [EVENT_TYPES[event]]


def test_given_the_models_then_each_schema_is_that_of_its_model() -> None:
    _, whole = models_json_schema(
        [(event, "validation") for event in EVENT_TYPES],
        ref_template="#/components/schemas/{model}",
    )

    schemas = dict(build_document().to_jsonable()["components"]["schemas"])
    assert {name: schemas.pop(name) for name in whole["$defs"]} == whole["$defs"]
    assert set(schemas) == {"JobProgress", "JobState"}


def test_given_the_document_when_made_twice_then_its_text_is_the_same() -> None:
    first, again = build_document(), build_document.__wrapped__()
    assert again is not first
    assert again.to_yaml() == first.to_yaml()
    assert yaml.load(first.to_yaml(), yaml.CSafeLoader) == first.to_jsonable()
    assert json.loads(first.to_json()) == first.to_jsonable()


def test_given_the_document_then_it_names_us_and_none_of_our_processes() -> None:
    document = build_document()
    content = document.to_jsonable()

    assert content["info"]["title"] == document.title == "Mastery Engine"
    assert content["info"]["version"] == package_version()
    assert "consumerName" not in document.to_json()
    assert "development" not in content["servers"]


def test_given_the_channels_when_read_then_actions_and_messages_are_ours() -> None:
    content = build_document().to_jsonable()

    actions = {key: operation["action"] for key, operation in content["operations"].items()}
    assert actions == {
        "receiveResponses": "receive",
        "sendMastery": "send",
        "sendUnlocked": "send",
        "sendRejections": "send",
        "receiveJobs": "receive",
        "sendLiveMastery": "send",
        "sendJobProgress": "send",
    }
    for key, described in CHANNELS.items():
        channel = content["channels"][key]
        assert channel["address"] == described.stream
        assert channel["x-method"] == ("XADD" if described.group is None else "XREADGROUP")
        assert channel.get("x-group") == described.group
        assert "bindings" not in channel
        assert list(content["channels"][key]["messages"]) == [e.__name__ for e in described.events]
        for event in described.events:
            message = content["components"]["messages"][event.__name__]
            assert message["name"] == EVENT_TYPES[event]
            assert message["contentType"] == "application/cloudevents+json"
            assert message["examples"][0]["payload"]["type"] == message["name"]
            assert message["correlationId"]["location"] == "$message.payload#/correlationid"


def test_given_the_events_then_only_those_merely_upcast_are_deprecated() -> None:
    content = build_document().to_jsonable()

    for event, event_type in EVENT_TYPES.items():
        deprecated = event_type in UPCASTERS
        name = event.__name__
        assert content["components"]["schemas"][name].get("deprecated", False) is deprecated
        assert event_schema(event).get("deprecated", False) is deprecated
        assert ("Deprecated: publish" in content["components"]["messages"][name]["summary"]) is (
            deprecated
        )
    assert set(UPCASTERS) < set(EVENT_TYPES.values())


def test_given_written_files_when_checked_then_none_has_drifted(repository: Path) -> None:
    assert drifted(repository, COMMAND) == []
    assert {name for name in _files(repository) if "envelope" not in name} == {
        "asyncapi.yaml",
        "openapi.json",
        *(f"contracts/schemas/{name}.json" for name in EVENT_TYPES.values()),
        "contracts/typescript/src/events.ts",
        "deploy/helm/mastery-engine/files/settings.json",
        *(f"docs/reference/{name}.md" for name in ("commands", "events", "jobs", "settings")),
    }


def test_given_drift_when_checked_then_it_is_named_and_nothing_is_written(
    repository: Path,
) -> None:
    schemas = repository / "contracts" / "schemas"
    (repository / "asyncapi.yaml").write_text("asyncapi: 3.1.0\n", encoding="utf-8")
    (schemas / "practice.job.requested.v1.json").unlink()
    (schemas / "practice.mastery.changed.v1.json").write_bytes(b"\xff")
    (schemas / "practice.gone.v1.json").write_text("{}", encoding="utf-8")
    types = repository / "contracts" / "typescript" / "src" / "events.ts"
    types.write_text(types.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    before = _files(repository)

    assert sorted(drifted(repository, COMMAND)) == [
        "asyncapi.yaml",
        "contracts/schemas/practice.gone.v1.json",
        "contracts/schemas/practice.job.requested.v1.json",
        "contracts/schemas/practice.mastery.changed.v1.json",
        "contracts/typescript/src/events.ts",
    ]
    assert _files(repository) == before

    write(repository, COMMAND)
    assert drifted(repository, COMMAND) == []


def test_given_another_folder_when_written_then_it_is_left_alone(
    tmp_path: Path,
) -> None:
    for act in (write, drifted):
        with pytest.raises(InputFileError, match="--root"):
            act(tmp_path, COMMAND)

    assert _files(tmp_path) == {}


def test_given_a_file_that_cannot_be_written_when_written_then_it_is_named(
    repository: Path,
) -> None:
    (repository / "asyncapi.yaml").unlink()
    (repository / "asyncapi.yaml").mkdir()

    with pytest.raises(InputFileError, match=r"asyncapi\.yaml"):
        write(repository, COMMAND)


def test_given_the_command_then_it_writes_checks_and_fails_on_drift(
    repository: Path,
) -> None:
    run = CliRunner().invoke
    target = repository / "asyncapi.yaml"
    shutil.copy(_ROOT / "CHANGELOG.md", repository)
    shutil.copytree(_ROOT / RELEASED, repository / RELEASED)

    assert run(app, ["asyncapi", "--check", "--root", str(repository)]).exit_code == 0
    target.unlink()
    failed = run(app, ["asyncapi", "--check", "--root", str(repository)])
    assert failed.exit_code == 1
    assert "asyncapi.yaml differs from the code" in failed.output
    assert not target.exists()

    old = repository / RELEASED / "0.1.0" / "practice.of-before.v1.json"
    old.write_text("{}")
    failed = run(app, ["asyncapi", "--check", "--root", str(repository)])
    assert failed.exit_code == 1
    assert "incompatible: practice.of-before.v1 is gone" in failed.output
    old.unlink()

    written = run(app, ["asyncapi", "--root", str(repository)])
    assert written.exit_code == 0
    assert "asyncapi.yaml" in written.output
    assert run(app, ["asyncapi", "--check", "--root", str(repository)]).exit_code == 0
