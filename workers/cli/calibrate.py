"""`mastery calibrate`: parameters fitted to the log, as a new version."""

import asyncio
import json
import math
from contextlib import AsyncExitStack
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from workers.app.lifecycle import stop_on_signals
from workers.app.servers import open_ledger
from workers.cli.mastery_table import mastery_table
from workers.cli.progress import progress_bar
from workers.common.logs import configure_logs
from workers.common.retrying import NoRetry
from workers.common.tasks import end
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.modelling.calibration.fitting import MODELS
from workers.modelling.calibration_run.calibrator import Calibrator
from workers.modelling.calibration_run.processes import ProcessPool, available_cores, run_in_process
from workers.modelling.calibration_run.request import DEFAULT_MODEL, Activate, Calibrated, Request

_STOPPED: Final = 130
_SHOWN: Final = 20
_PREDICTION: Final = {"AUC": "auc", "log loss": "log_loss", "Brier": "brier", "ECE": "ece"}


def calibrate(  # noqa: PLR0917  # typer reads the parameters by name
    model: Annotated[
        str, typer.Option(help=f"Of {', '.join(MODELS)}.", show_default=True)
    ] = DEFAULT_MODEL,
    activate: Annotated[
        Activate,
        typer.Option(help="When the new version becomes the active one."),
    ] = "if-better",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Fit and compare; store and activate nothing.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, though a run that was stopped is there.")
    ] = False,
    note: Annotated[str, typer.Option(help="What a person should know of the version.")] = "",
    processes: Annotated[
        int | None, typer.Option(min=1, help="At the same time; one for each core if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, all diagnostics.")] = False,
) -> None:
    """Fit parameters to the log of all learners; activate them if they are better."""
    try:
        request = Request(model, activate, dry_run, note)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    found = asyncio.run(_until_stopped(settings, request, fresh=fresh, processes=processes))
    if found is None:
        typer.echo(
            "stopped; what was done is kept for a week: `mastery calibrate` goes on from there",
            err=True,
        )
        raise typer.Exit(_STOPPED)
    if as_json:
        typer.echo(json.dumps(_document(found), indent=2, ensure_ascii=False))
        return
    console = Console()
    console.print(_table(found))
    console.print(_mastery(found))
    typer.echo("\n".join(_lines(found)))


async def _until_stopped(
    settings: Settings, request: Request, *, fresh: bool, processes: int | None
) -> Calibrated | None:
    """What came of it; None if SIGINT or SIGTERM came first."""
    stopped = asyncio.create_task(stop_on_signals().wait())
    work = asyncio.create_task(_calibrate(settings, request, fresh=fresh, processes=processes))
    try:
        await asyncio.wait({stopped, work}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        await end([work, stopped])


async def _calibrate(
    settings: Settings, request: Request, *, fresh: bool, processes: int | None
) -> Calibrated:
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings, stack)
        pool = ProcessPool(processes or available_cores(), run_in_process)
        calibrator = Calibrator(ledger=ledger, retrying=NoRetry(), pool=pool)
        bar = stack.enter_context(progress_bar())
        task = bar.add_task("calibrating", total=None)

        async def told(step: int, total: int) -> None:
            bar.update(task, completed=step, total=total)

        begun = None if fresh else await calibrator.latest_run(request.model)
        if begun is not None:
            typer.echo(
                f"goes on with the run of {begun.at}, and no answer since; --fresh begins anew",
                err=True,
            )
        run_id = None if begun is None else begun.run
        return await calibrator.calibrate(request, told, run_id=run_id)


def _document(found: Calibrated) -> dict[str, object]:
    return {
        "version": found.version,
        "active": found.active,
        "compared_with": found.compared_with,
        "diagnostics": found.diagnostics,
    }


def _table(found: Calibrated) -> Table:
    compared = found.comparison
    table = Table(
        title=f"{compared.responses:,} answers of {compared.learners:,} learners held out",
        title_justify="left",
    )
    table.add_column("parameters")
    for name in _PREDICTION:
        table.add_column(name, justify="right")
    new = "new" if found.version is None else f"new: version {found.version}"
    for label, of in (
        (new, compared.new),
        (f"present: version {found.compared_with}", compared.present),
    ):
        table.add_row(label, *(_figure(of[key]) for key in _PREDICTION.values()))
    return table


def _mastery(found: Calibrated) -> Table:
    ceilings = found.diagnostics["lowest_ceiling"]
    return mastery_table(
        [
            ("new", found.comparison.new_mastery, ceilings["new"]),
            ("present", found.comparison.present_mastery, ceilings["present"]),
        ]
    )


def _figure(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "-"


def _lines(found: Calibrated) -> list[str]:
    warnings = found.diagnostics["warnings"]
    lines = [f"warning: {one}" for one in warnings[:_SHOWN]]
    if len(warnings) > _SHOWN:
        lines.append(f"… and {len(warnings) - _SHOWN} more warnings; --json has all")
    active = found.diagnostics["active_version"]
    if active != found.compared_with:
        lines.append(
            f"version {active}, which was active, was fitted under older formulas: compared with "
            f"version {found.compared_with}, the built-in parameters"
        )
    lines += [
        f"{found.learners:,} learners, {found.responses:,} answers",
        f"by the rule if-better {found.decision.sentence}",
    ]
    if found.version is None:
        lines.append("dry run: nothing stored")
    elif found.active:
        lines.append(f"version {found.version} is active: learners are replayed under it")
    else:
        lines.append(
            f"version {found.version} is stored and not active: `mastery parameters activate "
            f"{found.version}` changes that"
        )
    return lines
