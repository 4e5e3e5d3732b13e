"""`mastery concepts import`: the concept map of a tenant."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.choices import DEFAULT_TENANT
from workers.cli.commands.options import Json, Tenant

app = typer.Typer(help="Concepts, prerequisites and items.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `import` a subcommand: typer would merge a single command into its group."""


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The map as JSON (docs/concepts.md).")
    ],
    tenant: Tenant = DEFAULT_TENANT,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only validate and compare; change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Import concepts, prerequisites and items; a map with a cycle changes nothing."""
    from workers.cli.concepts import import_map

    import_map(file, tenant, dry_run=dry_run, as_json=as_json)
