"""List, show, activate, import and export versions of the parameters."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import typer

from workers.app.servers import open_ledger
from workers.cli.parameters.file import ParametersFile
from workers.cli.parameters.view import details, listing
from workers.cli.setting_up import set_up
from workers.common.errors import ParametersRefused
from workers.config.settings import Settings
from workers.estimation.documents import parameters_of
from workers.ledger.parameter_versions import readable
from workers.ledger.parameters import Activation, ParametersVersion, stored_document
from workers.ledger.protocol import Ledger

Result = TypeVar("Result")


def list_versions(*, as_json: bool) -> None:
    """Print all versions, and mark the active one."""

    async def read_from(ledger: Ledger, _: Settings) -> tuple[list[ParametersVersion], Activation]:
        return await ledger.versions(), await ledger.activation()

    versions, active = _run(read_from)
    if as_json:
        document = {
            "active": active._asdict(),
            "versions": [asdict(version) for version in versions],
        }
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(listing(versions, active)))


def show(version: int, *, most: int, as_json: bool) -> None:
    """Print a version: the diagnostics of its fit, and its parameters as tables.

    Args:
        version: the version.
        most: at most this many concepts and this many items; JSON has all of them.
        as_json: print JSON.

    Raises:
        ParametersRefused: the version is missing, or this engine can't read it.
    """

    async def read_from(ledger: Ledger, settings: Settings) -> tuple[Any, Any, int]:
        stored = await ledger.version(version)
        read = readable(stored, settings.mastery_threshold)
        return stored, read, await ledger.active_version()

    stored, parameters, active = _run(read_from)
    if as_json:
        document = {**asdict(stored), "active": active == version}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(details(stored, parameters, active=active == version, most=most)))


def activate(version: int, reason: str) -> None:
    """Activate a version, and print how many learners have to be replayed.

    Raises:
        ParametersRefused: the version is missing, or this engine can't read it.
    """

    async def activated(ledger: Ledger, settings: Settings) -> int:
        # A version that this engine can't read would stop its workers.
        readable(await ledger.version(version), settings.mastery_threshold)
        await ledger.activate(version, reason)
        return await ledger.outdated_count()

    left = _run(activated)
    typer.echo(f"version {version} is active; {left} learners wait for a replay under it")


def import_file(file: Path) -> None:
    """Store the parameters of a file as a new version, unless an equal version exists.

    Raises:
        InputFileError: the file is not a version of the parameters.
    """
    read = ParametersFile.read(file)

    async def stored(ledger: Ledger, _: Settings) -> tuple[int, bool, int]:
        active = await ledger.active_version()
        equal = await _equal_version(ledger, read)
        if equal is not None:
            return equal, False, active
        version = await ledger.store(read.model, read.parameters, read.diagnostics, read.note)
        return version, True, active

    version, new, active = _run(stored)
    outcome = f"stored as version {version}"
    if not new:
        outcome = f"nothing is stored: version {version} has the same model and parameters"
    if version == active:
        typer.echo(f"{outcome}, and is active")
    else:
        typer.echo(f"{outcome}: `mastery parameters activate {version}` activates it")


def export(version: int, output: Path | None) -> None:
    """Write a version as JSON.

    Args:
        version: the version.
        output: a file; None for stdout.

    Raises:
        ParametersRefused: the version is missing.
        InputFileError: the output is not writable.
    """

    async def read_from(ledger: Ledger, _: Settings) -> ParametersFile:
        return ParametersFile.of(await ledger.version(version))

    _run(read_from).write(output)


async def _equal_version(ledger: Ledger, file: ParametersFile) -> int | None:
    """Return the first version with the model and the parameters of a file."""
    wanted = parameters_of(stored_document(file.parameters))
    for listed in await ledger.versions():
        if listed.model != file.model:
            continue
        # A version that this engine can't read counts as different.
        with suppress(ParametersRefused):
            known = readable(await ledger.version(listed.version), wanted.mastery_threshold)
            if replace(known, version=wanted.version) == wanted:
                return listed.version
    return None


def _run(work: Callable[[Ledger, Settings], Awaitable[Result]]) -> Result:
    settings = set_up()

    async def within() -> Result:
        async with AsyncExitStack() as stack:
            return await work(await open_ledger(settings, stack), settings)

    return asyncio.run(within())
