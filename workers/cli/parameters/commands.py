"""`mastery parameters list|show|activate|import|export`: versions of the parameters."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from workers.app.servers import open_ledger
from workers.cli.parameters.file import ParametersFile
from workers.cli.parameters.view import listing, whole
from workers.common.errors import ParametersRefused
from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.estimation.documents import parameters_of
from workers.ledger.parameter_versions import readable
from workers.ledger.parameters import Activation, ParametersVersion, stored_document
from workers.ledger.protocol import Ledger

Result = TypeVar("Result")

app = typer.Typer(
    name="parameters",
    help="Versions of the parameters: look at them, activate one, move them.",
    no_args_is_help=True,
)

_BY_HAND: Final = "activated by hand"

Version = Annotated[int, typer.Argument(metavar="VERSION", min=1, help="The version.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List all versions, and which of them is active."""

    async def found(ledger: Ledger, _: Settings) -> tuple[list[ParametersVersion], Activation]:
        return await ledger.versions(), await ledger.activation()

    versions, active = _run(found)
    if as_json:
        document = {"active": active._asdict(), "versions": [asdict(one) for one in versions]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(listing(versions, active)))


@app.command()
def show(version: Version, as_json: Json = False) -> None:
    """Print a version: what is in it, and what was found out when it was fitted."""

    async def found(ledger: Ledger, settings: Settings) -> tuple[Any, Any, int]:
        stored = await ledger.version(version)
        read = readable(stored, settings.mastery_threshold)
        return stored, read, await ledger.active_version()

    stored, parameters, active = _run(found)
    if as_json:
        document = {**asdict(stored), "active": active == version}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(whole(stored, parameters, active=active == version)))


@app.command()
def activate(
    version: Version,
    reason: Annotated[str, typer.Option(help="Why, for those who list versions.")] = _BY_HAND,
) -> None:
    """Let states be computed under a version from now on; an older one works the same way.

    Workers notice within seconds, replay each learner who answers, and the others meanwhile.
    """

    async def activated(ledger: Ledger, settings: Settings) -> int:
        # What this engine can't read would stop its workers.
        readable(await ledger.version(version), settings.mastery_threshold)
        await ledger.activate(version, reason)
        return await ledger.outdated_count()

    left = _run(activated)
    typer.echo(f"version {version} is active; {left} learners are to be replayed under it")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="As `export` writes it.")],
) -> None:
    """Store the parameters of a file as a new version, unless a version has the same."""
    read = ParametersFile.read(file)

    async def stored(ledger: Ledger, _: Settings) -> tuple[int, bool, int]:
        active = await ledger.active_version()
        equal = await _equal_version(ledger, read)
        if equal is not None:
            return equal, False, active
        version = await ledger.store(read.model, read.parameters, read.diagnostics, read.note)
        return version, True, active

    version, new, active = _run(stored)
    said = f"stored as version {version}"
    if not new:
        said = f"nothing is stored: version {version} has the same model and parameters"
    if version == active:
        typer.echo(f"{said}, and is active")
    else:
        typer.echo(f"{said}: `mastery parameters activate {version}` activates it")


@app.command()
def export(
    version: Version,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file, not to stdout.")
    ] = None,
) -> None:
    """Print a version as JSON, to be imported elsewhere."""

    async def found(ledger: Ledger, _: Settings) -> ParametersFile:
        return ParametersFile.of(await ledger.version(version))

    _run(found).write(output)


async def _equal_version(ledger: Ledger, file: ParametersFile) -> int | None:
    """The first version with the model and the parameters of a file."""
    wanted = parameters_of(stored_document(file.parameters))
    for listed in await ledger.versions():
        if listed.model != file.model:
            continue
        # A version that can't be read equals nothing.
        with suppress(ParametersRefused):
            known = readable(await ledger.version(listed.version), wanted.mastery_threshold)
            if replace(known, version=wanted.version) == wanted:
                return listed.version
    return None


def _run(work: Callable[[Ledger, Settings], Awaitable[Result]]) -> Result:
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)

    async def within() -> Result:
        async with AsyncExitStack() as stack:
            return await work(await open_ledger(settings, stack), settings)

    return asyncio.run(within())
