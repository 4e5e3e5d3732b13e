"""`mastery asyncapi`: writes the generated files of the repository, or checks them."""

from pathlib import Path
from typing import Annotated

import typer


def asyncapi(
    context: typer.Context,
    check_only: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a file differs.")
    ] = False,
    root: Annotated[Path, typer.Option(help="The root of the repository.")] = Path(),
) -> None:
    """Write asyncapi.yaml, openapi.json, JSON Schemas, TypeScript types and docs/reference."""
    from workers.cli.asyncapi import drifted, write

    command = context.find_root().command
    if not check_only:
        for path in write(root, command):
            typer.echo(path)
        return
    names = drifted(root, command)
    for name in names:
        typer.echo(f"{name} differs from the code: run `mastery asyncapi`", err=True)
    if names:
        raise typer.Exit(1)
