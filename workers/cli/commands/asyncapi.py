"""`mastery asyncapi`: writes the generated files of the repository, or checks them."""

from pathlib import Path
from typing import Annotated

import typer


def asyncapi(
    context: typer.Context,
    check_only: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing; fail on files that differ and incompatible schemas.",
        ),
    ] = False,
    root: Annotated[Path, typer.Option(help="The root of the repository.")] = Path(),
) -> None:
    """Write asyncapi.yaml, openapi.json, JSON Schemas, TypeScript types and docs/reference."""
    from workers.cli.asyncapi import drifted, write
    from workers.reference.compatibility.released import incompatible_changes

    command = context.find_root().command
    if not check_only:
        for path in write(root, command):
            typer.echo(path)
        return
    names = drifted(root, command)
    for name in names:
        typer.echo(f"{name} differs from the code: run `mastery asyncapi`", err=True)
    changes = incompatible_changes(root)
    for change in changes:
        typer.echo(f"incompatible: {change}", err=True)
    if names or changes:
        raise typer.Exit(1)
