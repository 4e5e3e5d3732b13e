"""Write the generated files of the repository, or find the ones that differ."""

import json
from pathlib import Path
from typing import Any, Final

from workers.common.errors import InputFileError
from workers.operations.jobs.kinds.registry import KINDS
from workers.reference.asyncapi import build_document, event_schema
from workers.reference.channels import CHANNELS, EVENT_TYPES
from workers.reference.chart import chart_settings
from workers.reference.pages import commands_page, events_page, jobs_page, settings_page
from workers.reference.typescript.module import Stream, module
from workers.web.openapi import openapi_text

DOCUMENT: Final = "asyncapi.yaml"
OPENAPI: Final = "openapi.json"
SCHEMAS: Final = "contracts/schemas"
TYPES: Final = "contracts/typescript/src/events.ts"
REFERENCE: Final = "docs/reference"
CHART_SETTINGS: Final = "deploy/helm/mastery-engine/files/settings.json"


def generated(command: Any) -> dict[str, str]:
    """Return the text of each generated file, by its path below the repository's root.

    Args:
        command: the root command of `mastery`, for `docs/reference/commands.md`.
    """
    files = {DOCUMENT: build_document().to_yaml(), OPENAPI: openapi_text()}
    schemas = {event_type: event_schema(event) for event, event_type in EVENT_TYPES.items()}
    for event_type, schema in schemas.items():
        text = json.dumps(schema, indent=2, ensure_ascii=False)
        files[f"{SCHEMAS}/{event_type}.json"] = text + "\n"
    files[TYPES] = module(schemas, _streams())
    files[CHART_SETTINGS] = chart_settings()
    files[f"{REFERENCE}/commands.md"] = commands_page(command)
    files[f"{REFERENCE}/settings.md"] = settings_page()
    files[f"{REFERENCE}/events.md"] = events_page()
    files[f"{REFERENCE}/jobs.md"] = jobs_page(
        {name: (kind.summary, kind.parameters) for name, kind in KINDS.items()}
    )
    return files


def write(root: Path, command: Any) -> list[Path]:
    """Write all generated files, and remove the schemas of events that no longer exist.

    Args:
        root: the root of the repository.
        command: see `generated`.

    Raises:
        InputFileError: `root` is not a repository of this engine, or is not writable.
    """
    _check_repository(root)
    files = generated(command)
    try:
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8", newline="\n")
        for name in _superfluous(root, files):
            (root / name).unlink()
    except OSError as error:
        raise InputFileError(f"{error.filename}: {error.strerror}") from error
    return [root / name for name in files]


def drifted(root: Path, command: Any) -> list[str]:
    """Return the names of missing, different and superfluous files; write nothing.

    Args:
        root: the root of the repository.
        command: see `generated`.

    Raises:
        InputFileError: `root` is not a repository of this engine.
    """
    _check_repository(root)
    files = generated(command)
    different = [name for name, text in files.items() if _text(root / name) != text]
    return different + _superfluous(root, files)


def _streams() -> dict[str, Stream]:
    return {
        key: Stream(
            channel.stream, tuple(EVENT_TYPES[event] for event in channel.events), channel.summary
        )
        for key, channel in CHANNELS.items()
    }


def _check_repository(root: Path) -> None:
    if not (root / "contracts" / "envelope.py").is_file():
        raise InputFileError(f"{root.resolve()} has no contracts/: name the repository by --root")


def _superfluous(root: Path, files: dict[str, str]) -> list[str]:
    names = (f"{SCHEMAS}/{path.name}" for path in sorted((root / SCHEMAS).glob("*.json")))
    return [name for name in names if name not in files]


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
