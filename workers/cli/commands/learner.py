"""`mastery learner show|export|erase`: the data of one learner."""

from typing import Annotated

import typer

from workers.cli.choices import DEFAULT_TENANT
from workers.cli.commands.options import Json, Output, Tenant, Yes
from workers.cli.output import require_writable

app = typer.Typer(help="Show, export or erase the data of one learner.", no_args_is_help=True)

Student = Annotated[str, typer.Argument(metavar="ID", help="The student.")]


@app.command()
def show(student: Student, tenant: Tenant = DEFAULT_TENANT, as_json: Json = False) -> None:
    """Print a learner's current mastery, ability and practice sessions."""
    from workers.cli.learner_state import show as show_learner

    show_learner(tenant, student, as_json=as_json)


@app.command()
def export(student: Student, tenant: Tenant = DEFAULT_TENANT, output: Output = None) -> None:
    """Print all data of a learner as JSON, without tokens."""
    require_writable(output, "--output")
    from workers.cli.learner import export as export_learner

    export_learner(tenant, student, output)


@app.command()
def erase(
    student: Student,
    tenant: Tenant = DEFAULT_TENANT,
    refuse: Annotated[
        bool,
        typer.Option("--refuse", help="Refuse later events of this learner; else they start over."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; change nothing.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase a learner from ledger, graph, streams and dead letters, after confirmation."""
    from workers.cli.learner import erase as erase_learner

    erase_learner(tenant, student, refuse=refuse, dry_run=dry_run, yes=yes, as_json=as_json)
