"""Start a reconciliation from the options of the command line."""

import asyncio
import json
from dataclasses import dataclass

import typer

from workers.app.lifecycle import stop_on_signals
from workers.app.servers import Servers, open_servers
from workers.cli.one_learner import scope_of, unknown_learner
from workers.cli.progress import progress_bar
from workers.cli.reconcile.report import Report
from workers.cli.reconcile.run import Order, Run
from workers.cli.setting_up import set_up
from workers.common.errors import MasteryError
from workers.config.settings import Settings
from workers.estimation.learner import LearnerKey
from workers.operations.reconciliation.since import Since
from workers.operations.repair.scope import Cursor, Phase


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a reconciliation.

    Args:
        tenant: only learners of this tenant; None for all, or the default one of `student`.
        student: only this student.
        since: first publish values recorded since; None publishes nothing.
        cursor: the text of a `Cursor`, to continue an interrupted run.
        dry_run: change nothing.
        as_json: print JSON.
        show: print at most this many differences.
    """

    tenant: str | None
    student: str | None
    since: Since | None
    cursor: str | None
    dry_run: bool
    as_json: bool
    show: int

    def order(self) -> Order:
        """Return the order of the run.

        Raises:
            BadParameter: the cursor is malformed, or belongs to a run with `--publish`.
        """
        cursor = None
        if self.cursor is not None:
            try:
                cursor = Cursor.of_text(self.cursor)
            except ValueError as error:
                raise typer.BadParameter(str(error), param_hint="--cursor") from None
            if cursor.phase is Phase.PUBLISH and self.since is None:
                raise typer.BadParameter(
                    "this cursor belongs to a run with --publish: give --publish and --since too"
                )
        return Order(scope_of(self.tenant, self.student), self.since, cursor, self.dry_run)


def start(options: Options) -> None:
    """Run a reconciliation and print its report; exit with 1 if differences are left."""
    order = options.order()
    settings = set_up()
    report = Report(options.show, options.dry_run, publish=options.since is not None)
    try:
        asyncio.run(_reconcile(settings, order, report))
    except MasteryError:
        if report.cursor is not None:
            typer.echo(f"failed: continue with {report.options}", err=True)
        raise
    if options.as_json:
        typer.echo(json.dumps(report.document(), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(report.lines()))
    if not report.good:
        raise typer.Exit(1)


async def _reconcile(settings: Settings, order: Order, report: Report) -> None:
    stopped = stop_on_signals()
    async with open_servers(settings) as servers:
        if order.scope.learner is not None:
            await _require_known(servers, order.scope.learner)
        with progress_bar(logged=True) as bar:
            run = Run(servers, settings.stream_shards, order, report, bar)
            await run.until_done(stopped)


async def _require_known(servers: Servers, key: LearnerKey) -> None:
    """Refuse a learner of whom neither the ledger nor the graph has anything.

    Raises:
        BadParameter: the learner is unknown.
    """
    (stored,) = await servers.ledger.stored([key], 0)
    if stored.version or stored.newest_version:
        return
    await servers.graph.prepare()
    if not await servers.graph.knows(key):
        raise typer.BadParameter(unknown_learner(key))
