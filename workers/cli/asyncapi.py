"""`mastery asyncapi`: writes what is generated from the contracts, or finds what has drifted."""

import json
from pathlib import Path
from typing import Annotated

import typer

from workers.common.errors import InputFileError
from workers.reference.asyncapi import CHANNELS, EVENT_TYPES, build_document, event_schema
from workers.reference.pages import commands_page, events_page, jobs_page, settings_page
from workers.reference.typescript.module import Stream, module

DOCUMENT = "asyncapi.yaml"
SCHEMAS = "contracts/schemas"
TYPES = "contracts/typescript/src/events.ts"
REFERENCE = "docs/reference"


def generated() -> dict[str, str]:
    """The text of each generated file, by its path below the root of the repository."""
    files = {DOCUMENT: build_document().to_yaml()}
    schemas = {event_type: event_schema(event) for event, event_type in EVENT_TYPES.items()}
    for event_type, schema in schemas.items():
        text = json.dumps(schema, indent=2, ensure_ascii=False)
        files[f"{SCHEMAS}/{event_type}.json"] = text + "\n"
    files[TYPES] = module(schemas, _streams())
    from workers.cli.main import app  # noqa: PLC0415  # main registers this very command

    files[f"{REFERENCE}/commands.md"] = commands_page(app)
    files[f"{REFERENCE}/settings.md"] = settings_page()
    files[f"{REFERENCE}/events.md"] = events_page()
    from workers.operations.jobs.kinds.registry import KINDS  # noqa: PLC0415  # it needs scipy

    files[f"{REFERENCE}/jobs.md"] = jobs_page(
        {name: (kind.summary, kind.parameters) for name, kind in KINDS.items()}
    )
    return files


def write(root: Path) -> list[Path]:
    """Write all generated files, and remove schemas of events that are no more.

    Args:
        root: the root of the repository.

    Raises:
        InputFileError: this is no repository of ours, or it can't be written.
    """
    _is_repository(root)
    files = generated()
    try:
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8", newline="\n")
        for name in _superfluous(root, files):
            (root / name).unlink()
    except OSError as error:
        raise InputFileError(f"{error.filename}: {error.strerror}") from error
    return [root / name for name in files]


def check(root: Path) -> list[str]:
    """Names of the files that are missing, differ or are superfluous; writes nothing.

    Args:
        root: the root of the repository.

    Raises:
        InputFileError: this is no repository of ours.
    """
    _is_repository(root)
    files = generated()
    drifted = [name for name, text in files.items() if _text(root / name) != text]
    return drifted + _superfluous(root, files)


def asyncapi(
    check_only: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a file has drifted.")
    ] = False,
    root: Annotated[Path, typer.Option(help="The root of the repository.")] = Path(),
) -> None:
    """Write asyncapi.yaml, the JSON Schemas, the TypeScript types and the docs' reference."""
    if not check_only:
        for path in write(root):
            typer.echo(path)
        return
    drifted = check(root)
    for name in drifted:
        typer.echo(f"{name} is not what the code says: run `mastery asyncapi`", err=True)
    if drifted:
        raise typer.Exit(1)


def _streams() -> dict[str, Stream]:
    return {
        key: Stream(one.stream, tuple(EVENT_TYPES[event] for event in one.events), one.summary)
        for key, one in CHANNELS.items()
    }


def _is_repository(root: Path) -> None:
    if not (root / "contracts" / "envelope.py").is_file():
        raise InputFileError(f"{root.resolve()} has no contracts/: give the repository with --root")


def _superfluous(root: Path, files: dict[str, str]) -> list[str]:
    found = sorted(path.name for path in (root / SCHEMAS).glob("*.json"))
    return [name for f in found if (name := f"{SCHEMAS}/{f}") not in files]


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
