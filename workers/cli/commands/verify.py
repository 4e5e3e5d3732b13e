"""`mastery verify`: compares stored estimates with the response log."""

from typing import Annotated

import typer

from workers.cli.commands.options import OnlyStudent, OnlyTenant


def verify(
    sample: Annotated[
        int | None, typer.Option(min=1, help="Only this many learners, drawn at random.")
    ] = None,
    tenant: OnlyTenant = None,
    student: OnlyStudent = None,
    show: Annotated[int, typer.Option(min=1, help="Print at most this many differences.")] = 20,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON with all differences.")
    ] = False,
) -> None:
    """Recompute estimates from the response log and compare them with the stored ones."""
    from workers.cli.verify import run_verification

    run_verification(tenant, student, sample=sample, show=show, as_json=as_json)
