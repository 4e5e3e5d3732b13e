"""Run, resume and report a calibration from the command line."""

import asyncio
import json
import math
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Final

import typer
from rich.console import Console
from rich.table import Table

from workers.app.lifecycle import stop_on_signals
from workers.app.servers import open_ledger
from workers.cli.mastery_table import mastery_table
from workers.cli.progress import progress_bar
from workers.cli.setting_up import set_up
from workers.common.retrying import NoRetry
from workers.common.tasks import end
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.ledger.protocol import Ledger
from workers.modelling.calibration_run.calibrator import Calibrator
from workers.modelling.calibration_run.processes import ProcessPool, available_cores, run_in_process
from workers.modelling.calibration_run.request import Activate, Calibrated, Request
from workers.modelling.calibration_run.work import Work

_STOPPED: Final = 130
_SHOWN: Final = 20
_PREDICTION: Final = {"AUC": "auc", "log loss": "log_loss", "Brier": "brier", "ECE": "ece"}


def run_calibration(
    model: str,
    activate: Activate,
    note: str,
    *,
    dry_run: bool,
    fresh: bool,
    processes: int | None,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Fit parameters to the log, and print how well they predict held-out learners.

    Args:
        model: the name of the model.
        activate: when to activate the new version.
        note: a note about the version, one line.
        dry_run: store and activate nothing.
        fresh: start over instead of resuming a stopped run.
        processes: number of processes; None for one per core.
        cluster: address of a Dask scheduler to compute on; None for processes of this machine.
        as_json: print JSON with all diagnostics.
    """
    try:
        request = Request(model, activate, dry_run, note)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    settings = set_up()
    result = asyncio.run(
        _until_stopped(settings, request, fresh=fresh, processes=processes, cluster=cluster)
    )
    if result is None:
        typer.echo(
            "stopped; `mastery calibrate` resumes the run within a week",
            err=True,
        )
        raise typer.Exit(_STOPPED)
    if as_json:
        typer.echo(json.dumps(_document(result), indent=2, ensure_ascii=False))
        return
    console = Console()
    console.print(_table(result))
    console.print(_mastery(result))
    typer.echo("\n".join(_lines(result)))


async def _until_stopped(
    settings: Settings,
    request: Request,
    *,
    fresh: bool,
    processes: int | None,
    cluster: str | None,
) -> Calibrated | None:
    """Return the result; None if SIGINT or SIGTERM came first."""
    stopped = asyncio.create_task(stop_on_signals().wait())
    work = asyncio.create_task(
        _calibrate(settings, request, fresh=fresh, processes=processes, cluster=cluster)
    )
    try:
        await asyncio.wait({stopped, work}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        await end([work, stopped])


async def _calibrate(
    settings: Settings,
    request: Request,
    *,
    fresh: bool,
    processes: int | None,
    cluster: str | None,
) -> Calibrated:
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings, stack)
        pool = ProcessPool(processes or available_cores(), run_in_process)
        open_work = None if cluster is None else partial(_on_cluster, cluster, ledger)
        calibrator = Calibrator(ledger=ledger, retrying=NoRetry(), pool=pool, open_work=open_work)
        bar = stack.enter_context(progress_bar())
        task = bar.add_task("calibrating", total=None)

        async def advance(step: int, total: int) -> None:
            bar.update(task, completed=step, total=total)

        begun = None if fresh else await calibrator.latest_run(request.model)
        if begun is not None:
            typer.echo(
                f"resuming the run of {begun.at}, without later answers; --fresh starts over",
                err=True,
            )
        run_id = None if begun is None else begun.run
        return await calibrator.calibrate(request, advance, run_id=run_id)


def _on_cluster(address: str, ledger: Ledger) -> AbstractAsyncContextManager[Work]:
    try:
        # An extra, which few installations have.
        from workers.modelling.cluster.work import cluster_work  # noqa: PLC0415
    except ImportError as error:
        raise typer.BadParameter(
            f"--cluster needs the extra `cluster` ({error}): pip install 'mastery-engine[cluster]'"
        ) from error
    return cluster_work(address, ledger, NoRetry(), open_own_ledger)


async def open_own_ledger(stack: AsyncExitStack) -> Ledger:
    """Open the ledger by the settings of this process, such as a worker of a cluster."""
    return await open_ledger(load_settings(), stack)


def _document(result: Calibrated) -> dict[str, object]:
    return {
        "version": result.version,
        "active": result.active,
        "compared_with": result.compared_with,
        "diagnostics": result.diagnostics,
    }


def _table(result: Calibrated) -> Table:
    comparison = result.comparison
    table = Table(
        title=f"{comparison.responses:,} answers of {comparison.learners:,} learners held out",
        title_justify="left",
    )
    table.add_column("parameters")
    for name in _PREDICTION:
        table.add_column(name, justify="right")
    new = "new" if result.version is None else f"new: version {result.version}"
    for label, measures in (
        (new, comparison.new),
        (f"present: version {result.compared_with}", comparison.present),
    ):
        table.add_row(label, *(_figure(measures[key]) for key in _PREDICTION.values()))
    return table


def _mastery(result: Calibrated) -> Table:
    ceilings = result.diagnostics["lowest_ceiling"]
    return mastery_table(
        [
            ("new", result.comparison.new_mastery, ceilings["new"]),
            ("present", result.comparison.present_mastery, ceilings["present"]),
        ]
    )


def _figure(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "-"


def _lines(result: Calibrated) -> list[str]:
    warnings = result.diagnostics["warnings"]
    lines = [f"warning: {warning}" for warning in warnings[:_SHOWN]]
    if len(warnings) > _SHOWN:
        lines.append(f"… and {len(warnings) - _SHOWN} more warnings; --json prints all")
    active = result.diagnostics["active_version"]
    if active != result.compared_with:
        lines.append(
            f"version {active}, active until now, was fitted under older formulas: compared with "
            f"the built-in version {result.compared_with} instead"
        )
    lines += [
        f"{result.learners:,} learners, {result.responses:,} answers",
        f"by the rule if-better {result.decision.sentence}",
    ]
    if result.version is None:
        lines.append("dry run: nothing stored")
    elif result.active:
        lines.append(f"version {result.version} is active: workers replay all learners under it")
    else:
        lines.append(
            f"version {result.version} is stored but not active: activate it with `mastery "
            f"parameters activate {result.version}`"
        )
    return lines
