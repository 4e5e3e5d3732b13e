"""`mastery reconcile`: the graph, and those who lost events, agree with the ledger again."""

import asyncio
import json
from typing import Annotated, Final

import typer

from workers.app.lifecycle import stop_on_signals
from workers.app.servers import open_servers
from workers.cli.progress import progress_bar
from workers.cli.reconcile.report import Report
from workers.cli.reconcile.run import Order, Run
from workers.common.errors import MasteryError
from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.operations.reconciliation.since import Since
from workers.operations.repair.scope import Cursor, Phase, Scope

_DEFAULT_TENANT: Final = "default"
_SHOWN: Final = 20


def _since(text: str) -> Since:
    try:
        return Since.of_text(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _cursor(text: str) -> Cursor:
    try:
        return Cursor.of_text(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def reconcile(  # noqa: PLR0917  # typer reads the parameters by name
    tenant: Annotated[str | None, typer.Option(help="Only learners of this tenant.")] = None,
    student: Annotated[
        str | None, typer.Option(help=f"Only this one; of tenant {_DEFAULT_TENANT} unless named.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="First send current values anew to subscribers.")
    ] = False,
    since: Annotated[
        Since | None,
        typer.Option(
            parser=_since,
            metavar="TIME",
            help="Publish for learners with a response recorded then or later, by the "
            "database's clock: ISO 8601 with a zone, or an age such as 2h.",
        ),
    ] = None,
    cursor: Annotated[
        Cursor | None,
        typer.Option(parser=_cursor, metavar="CURSOR", help="Go on where a run was stopped."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only look; non-zero if anything differs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    show: Annotated[int, typer.Option(min=0, help="Print at most so many differences.")] = _SHOWN,
) -> None:
    """Compare the graph with the ledger and repair it; publish current values anew."""
    if publish != (since is not None):
        raise typer.BadParameter("--publish and --since belong together: give both or neither")
    if cursor is not None and cursor.phase is Phase.PUBLISH and not publish:
        raise typer.BadParameter("this cursor is of a run with --publish: give that and --since")
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    if student is not None and tenant is None:
        tenant = _DEFAULT_TENANT
    report = Report(show, dry_run, publish)
    order = Order(Scope(tenant, student), since, cursor, dry_run)
    try:
        asyncio.run(_reconcile(settings, order, report))
    except MasteryError:
        if report.cursor is not None:
            typer.echo(f"failed: go on with {report.options}", err=True)
        raise
    if as_json:
        typer.echo(json.dumps(report.document(), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(report.lines()))
    if not report.good:
        raise typer.Exit(1)


async def _reconcile(settings: Settings, order: Order, report: Report) -> None:
    stopped = stop_on_signals()
    async with open_servers(settings) as servers:
        with progress_bar() as bar:
            run = Run(servers, settings.stream_shards, order, report, bar)
            await run.until_done(stopped)
