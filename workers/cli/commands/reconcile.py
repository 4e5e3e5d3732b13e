"""`mastery reconcile`: repairs the graph from the ledger."""

from typing import Annotated

import typer

from workers.cli.commands.options import Json, OnlyStudent, OnlyTenant, since_option
from workers.operations.reconciliation.since import Since


def reconcile(
    tenant: OnlyTenant = None,
    student: OnlyStudent = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="First publish current values again.")
    ] = False,
    since: Annotated[
        Since | None,
        since_option(
            "Publish for learners with a response recorded at this time or later, by the "
            "database's clock: ISO 8601 with a zone, or an age such as 2h."
        ),
    ] = None,
    cursor: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Continue an interrupted run here.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; fail on any difference.")
    ] = False,
    as_json: Json = False,
    show: Annotated[int, typer.Option(min=0, help="Print at most this many differences.")] = 20,
) -> None:
    """Compare the graph with the ledger and repair it; optionally publish values again."""
    if publish != (since is not None):
        raise typer.BadParameter("--publish and --since belong together: give both or neither")
    from workers.cli.reconcile.start import Options, start

    start(Options(tenant, student, since, cursor, dry_run, as_json, show))
