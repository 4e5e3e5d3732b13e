"""`mastery parameters list|show|activate|import|export`: versions of the parameters."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.commands.options import Json, Output
from workers.cli.output import require_writable

app = typer.Typer(help="List, show, activate, import and export parameters.", no_args_is_help=True)

Version = Annotated[int, typer.Argument(metavar="VERSION", min=1, help="The version.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List all versions and mark the active one."""
    from workers.cli.parameters.actions import list_versions

    list_versions(as_json=as_json)


@app.command()
def show(
    version: Version,
    most: Annotated[
        int, typer.Option("--show", min=1, help="Print at most this many concepts and items.")
    ] = 50,
    as_json: Json = False,
) -> None:
    """Print a version: the diagnostics of its fit, then a table with guess and slip."""
    from workers.cli.parameters.actions import show as show_version

    show_version(version, most=most, as_json=as_json)


@app.command()
def activate(
    version: Version,
    reason: Annotated[
        str, typer.Option(help="The reason, shown in the list of versions.")
    ] = "activated by hand",
) -> None:
    """Activate a version, newer or older, for all estimates from now on.

    Workers notice within seconds. They replay a learner at their next answer, and all others in
    the background.
    """
    from workers.cli.parameters.actions import activate as activate_version

    activate_version(version, reason)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A file that `export` wrote.")],
) -> None:
    """Store the parameters of a file as a new version, unless an equal version exists."""
    from workers.cli.parameters.actions import import_file

    import_file(file)


@app.command()
def export(version: Version, output: Output = None) -> None:
    """Print a version as JSON, for import elsewhere."""
    require_writable(output, "--output")
    from workers.cli.parameters.actions import export as export_version

    export_version(version, output)
