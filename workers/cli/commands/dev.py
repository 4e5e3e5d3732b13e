"""`mastery dev`: everything on one laptop."""

from pathlib import Path
from typing import Annotated

import typer

from workers.cli.interruption import ending_at_once


def dev(
    directory: Annotated[
        Path | None,
        typer.Option(
            help="Where Redis, ledger and graph keep their data; nothing is kept if not given."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON with the URLs once ready.")
    ] = False,
) -> None:
    """Run everything for development on embedded servers: no setting, no other server."""
    with ending_at_once():
        from workers.cli.dev import run_dev

    run_dev(directory, as_json=as_json)
