"""`mastery rebuild`: replaces wrong stored estimates."""

from typing import Annotated

import typer

from workers.cli.commands.options import Json, OnlyStudent, OnlyTenant


def rebuild(
    tenant: OnlyTenant = None,
    student: OnlyStudent = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; fail if anything needs repair.")
    ] = False,
    accept_log: Annotated[
        bool, typer.Option("--accept-log", help="Accept altered rows of the response log.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Recompute estimates from the response log and replace the stored ones that differ."""
    from workers.cli.rebuild import run_rebuild

    run_rebuild(tenant, student, dry_run=dry_run, accept_log=accept_log, as_json=as_json)
