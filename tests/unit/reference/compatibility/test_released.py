"""The schemas of the code, compared with those of the last version in the CHANGELOG."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from workers.common.errors import InputFileError
from workers.reference.compatibility.released import (
    RELEASED,
    incompatible_changes,
    last_version,
    received_types,
)

_ROOT: Final = Path(__file__).parents[4]
_RESPONSE: Final = "practice.response.recorded.v1"
_MASTERY: Final = "practice.mastery.changed.v1"
_REJECTED: Final = "practice.response.rejected.v1"


def test_given_this_code_then_the_last_version_is_understood() -> None:
    assert incompatible_changes(_ROOT) == []


def test_given_the_events_then_those_of_others_are_read() -> None:
    assert received_types() == {
        _RESPONSE, "practice.response.recorded.v0", "practice.job.requested.v1",
    }  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose last version is 0.1.0, with schemas to change."""
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n\n## [0.1.0] - 2026-12-01\n")
    folder = tmp_path / RELEASED / "0.1.0"
    folder.mkdir(parents=True)
    for file in (_ROOT / "contracts" / "schemas").glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    return tmp_path


def _rewrite(repository: Path, event_type: str, definition: str, change: Any) -> None:
    file = repository / RELEASED / "0.1.0" / f"{event_type}.json"
    schema = json.loads(file.read_text())
    change(schema["$defs"][definition])
    file.write_text(json.dumps(schema))


def test_given_a_field_that_is_gone_then_it_is_named(repository: Path) -> None:
    for event_type, definition in ((_RESPONSE, "Response"), (_MASTERY, "MasteryData")):
        _rewrite(
            repository,
            event_type,
            definition,
            lambda d: (
                d["properties"].update(mood={"type": "string"}) or d["required"].append("mood")
            ),
        )
    changes = incompatible_changes(repository)
    assert changes == [
        f"{_MASTERY}: data.mood: the field is gone (compared with 0.1.0)",
        f"{_RESPONSE}: data.response.mood: the field is gone (compared with 0.1.0)",
    ]


def test_given_a_narrower_type_then_publishers_of_before_are_named(repository: Path) -> None:
    _rewrite(
        repository, _RESPONSE, "Response",
        lambda d: d["properties"]["item_id"].update(maxLength=256),
    )  # fmt: skip
    (change,) = incompatible_changes(repository)
    assert change.startswith(f"{_RESPONSE}: data.response.item_id: has the maxLength 256")


def test_given_a_new_required_field_then_publishers_lack_it(repository: Path) -> None:
    _rewrite(repository, _RESPONSE, "Response", lambda d: d["required"].remove("item_id"))
    (change,) = incompatible_changes(repository)
    assert change.startswith(f"{_RESPONSE}: data.response.item_id: may be missing")


def test_given_a_wider_event_of_ours_then_subscribers_are_named(repository: Path) -> None:
    _rewrite(
        repository, _MASTERY, "MasteryData",
        lambda d: d["properties"]["transition"].update(enum=["none", "mastered"]),
    )  # fmt: skip
    (change,) = incompatible_changes(repository)
    assert change.startswith(f"{_MASTERY}: data.transition: may be one of ['lapsed']")


def test_given_a_new_rejection_code_then_nobody_is_surprised(repository: Path) -> None:
    _rewrite(repository, _REJECTED, "RejectionCode", lambda d: d["enum"].remove("poison"))
    assert incompatible_changes(repository) == []


def test_given_an_event_that_is_gone_then_it_is_named(repository: Path) -> None:
    (repository / RELEASED / "0.1.0" / "practice.old.v1.json").write_text("{}")
    deprecated = repository / RELEASED / "0.1.0" / "practice.older.v0.json"
    deprecated.write_text('{"deprecated": true}')
    assert incompatible_changes(repository) == ["practice.old.v1 is gone (compared with 0.1.0)"]


def test_given_a_release_whose_schemas_are_not_kept_then_it_says_so(repository: Path) -> None:
    (repository / "CHANGELOG.md").write_text("## [0.10.0]\n\n## [0.9.1]\n\n## [0.1.0]\n")
    with pytest.raises(InputFileError, match=r"contracts/released/0\.10\.0 is missing"):
        last_version(repository)
