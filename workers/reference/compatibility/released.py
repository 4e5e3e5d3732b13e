"""Compare the schemas of the code with those of the last released version."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from workers.common.errors import InputFileError
from workers.reference.asyncapi import event_schema
from workers.reference.channels import CHANNELS, EVENT_TYPES
from workers.reference.compatibility.comparing import Comparison, Schema, fields

RELEASED: Final = "contracts/released"
"""One folder per version, with the JSON Schemas of all its events."""

_VERSION: Final = re.compile(r"^## \[(\d+)\.(\d+)\.(\d+)\]", re.MULTILINE)

_OPEN_VALUES: Final[Mapping[str, frozenset[str]]] = {
    "practice.response.rejected.v1": frozenset(("data.code", "data.status"))
}
"""Fields whose values may become more in any version; the documents of the events say so."""


def incompatible_changes(root: Path) -> list[str]:
    """Return what of the schemas of the last version breaks, one sentence each.

    What others publish must still be accepted; what the engine publishes must be accepted by those
    who know the last version. In either case no field may be gone.

    Args:
        root: the root of the repository.

    Raises:
        InputFileError: the schemas of the last version in CHANGELOG.md are not kept.
    """
    version = last_version(root)
    current = {event_type: event_schema(event) for event, event_type in EVENT_TYPES.items()}
    changes = []
    for file in sorted((root / RELEASED / version).glob("*.json")):
        old: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        name = file.stem
        if name not in current:
            # A deprecated version may go with any release.
            changes += [] if old.get("deprecated") else [f"{name} is gone"]
            continue
        changes += [f"{name}: {text}" for text in _changes(name, old, current[name])]
    return [f"{change} (compared with {version})" for change in changes]


def _changes(name: str, old: Schema, new: Schema) -> list[str]:
    gone = [f"{path}: the field is gone" for path in sorted(fields(old) - fields(new))]
    received = name in received_types()
    writer, reader = (old, new) if received else (new, old)
    comparison = Comparison(writer, reader, _OPEN_VALUES.get(name, frozenset()))
    return gone + [
        str(difference)
        for difference in comparison.differences()
        if difference.path not in fields(old) - fields(new)
    ]


def received_types() -> set[str]:
    """Return the types of the events that others publish and the engine reads.

    The engine's own projector reads mastery events too, but what counts is who else writes.
    """
    return {EVENT_TYPES[event] for key in ("responses", "jobs") for event in CHANNELS[key].events}


def last_version(root: Path) -> str:
    """Return the last version in CHANGELOG.md, or the first that is kept if it names none yet.

    Raises:
        InputFileError: no schemas of that version are kept.
    """
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    named = [tuple(map(int, parts)) for parts in _VERSION.findall(text)]
    folders = {
        tuple(map(int, folder.name.split("."))): folder
        for folder in (root / RELEASED).iterdir()
        if folder.is_dir()
    }
    version = max(named, default=min(folders, default=(0, 0, 0)))
    if version not in folders:
        dotted = ".".join(map(str, version))
        raise InputFileError(
            f"{RELEASED}/{dotted} is missing: copy contracts/schemas of that version there"
        )
    return folders[version].name
