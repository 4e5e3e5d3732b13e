"""`mastery concepts import|list|export`: the concept map of a tenant."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.choices import DEFAULT_TENANT
from workers.cli.commands.options import Json, Output, Tenant
from workers.cli.output import require_writable

app = typer.Typer(help="Concepts, prerequisites and items.", no_args_is_help=True)


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


@app.command("list")
def list_(tenant: Tenant = DEFAULT_TENANT, as_json: Json = False) -> None:
    """List a tenant's concepts with their prerequisites."""
    from workers.cli.concept_listing import list_concepts

    list_concepts(tenant, as_json=as_json)


@app.command()
def export(tenant: Tenant = DEFAULT_TENANT, output: Output = None) -> None:
    """Print a tenant's concepts, prerequisites and items as JSON, for `concepts import`."""
    require_writable(output, "--output")
    from workers.cli.concept_listing import export as export_map

    export_map(tenant, output)
