"""Evaluate the predictions stored in the ledger."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson
import typer
from rich.console import Console
from rich.table import Table

from workers.app.servers import open_reading_ledger
from workers.cli.mastery_table import mastery_table
from workers.cli.progress import progress_bar
from workers.cli.setting_up import set_up
from workers.common.errors import ParametersRefused
from workers.config.settings import Settings
from workers.ledger.parameter_versions import ParametersSource, VersionsLedger
from workers.ledger.predictions import PredictionsLedger, Selection
from workers.modelling.calibration.ceilings import ceiling_warning, ceilings_of, lowest_of
from workers.modelling.evaluation.live import LIMITS, Collected, Live, LiveMeasures, drifting
from workers.modelling.evaluation.live_page.document import live_document
from workers.modelling.evaluation.live_page.names import STORED, version_name
from workers.modelling.evaluation.live_page.report import render_live
from workers.operations.reconciliation.since import Since
from workers.reports.wording import decimal

_SHOWN: Final = 20
_PAGE: Final = 5_000


def evaluate_live(
    tenant: str | None, since: Since | None, *, json: bool, report: Path | None
) -> None:
    """Compare stored predictions with the answers that followed, and print measures.

    Args:
        tenant: only learners of this tenant.
        since: only responses recorded since.
        json: print JSON instead of tables.
        report: also write a page to this file.
    """
    settings = set_up()
    live, selection, ceilings = asyncio.run(_read(settings, tenant, since))
    if json:
        document = live_document(live, selection, ceilings)
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        Console().print(live_table(live))
        Console().print(mastery_table([(STORED, live.validity, lowest_of(ceilings))]))
        warning = ceiling_warning(ceilings)
        if warning is not None:
            typer.echo(f"Active parameters: {warning}")
        _warn_of_drift(live)
    if report is not None and not live.score.size:
        typer.echo("There is no response to show: no page is written.", err=True)
    elif report is not None:
        html = render_live(live, selection, datetime.now(UTC), ceilings)
        report.write_text(html, encoding="utf-8")
        typer.echo(f"The page with the curves: {report.resolve()}", err=True)


async def _read(
    settings: Settings, tenant: str | None, since: Since | None
) -> tuple[Live, Selection, dict[str, float]]:
    async with AsyncExitStack() as stack:
        ledger = await open_reading_ledger(settings, stack)
        since_us = None if since is None else since.by(await ledger.clock_us())
        selection = Selection(tenant, since_us)
        live = await collected(ledger, selection)
        return live, selection, await _ceilings(ledger, settings, live.concepts)


async def _ceilings(
    ledger: VersionsLedger, settings: Settings, concepts: Sequence[str]
) -> dict[str, float]:
    """Return ceilings of mastery by concept; none if this engine can't read the parameters."""
    try:
        active = await ParametersSource(ledger, settings.mastery_threshold).refresh()
    except ParametersRefused as error:
        # Stored predictions can be evaluated without the parameters.
        typer.echo(f"Ceilings of mastery are unknown: {error}", err=True)
        return {}
    return ceilings_of(active, concepts)


async def collected(ledger: PredictionsLedger, selection: Selection, limit: int = _PAGE) -> Live:
    """Read all predictions of a selection, in pages of `limit` responses."""
    collection = Collected()
    with progress_bar() as bar:
        task = bar.add_task("reading", total=None)
        page = await ledger.predictions(selection, None, limit)
        collection.add(page.predictions)
        while page.last is not None:
            page = await ledger.predictions(selection, page.last, limit)
            collection.add(page.predictions)
            bar.update(task, completed=len(collection))
    return collection.live()


def live_table(live: Live) -> Table:
    """Return a table: overall, by version, by length of history, and the largest concepts."""
    table = Table(title="Stored predictions and the answers that followed", title_justify="left")
    table.add_column("")
    for name in ("AUC", "RMSE", "ECE", "log loss", "bias", "excess", "responses"):
        table.add_column(name, justify="right")
    _row(table, "all", live.whole())
    table.add_section()
    for version, measures in live.by_version().items():
        _row(table, version_name(version), measures)
    table.add_section()
    for label, measures in live.by_history().items():
        _row(table, f"{label} before", measures)
    table.add_section()
    concepts = live.by_concept()
    for name in list(concepts)[:_SHOWN]:
        _row(table, name, concepts[name])
    if len(concepts) > _SHOWN:
        table.add_row(f"… and {len(concepts) - _SHOWN} more concepts")
    return table


def _row(table: Table, name: str, measures: LiveMeasures) -> None:
    values = (
        measures.auc,
        measures.rmse,
        measures.ece,
        measures.log_loss,
        measures.bias.mean,
        measures.excess.mean,
    )
    table.add_row(name, *(decimal(value, 4) for value in values), f"{measures.responses:,}")


def _warn_of_drift(live: Live) -> None:
    if live.whole().drifts(LIMITS):
        typer.echo("Predictions do not fit the answers: `mastery calibrate` is the usual remedy.")
    odd = drifting(live.by_concept())
    if odd:
        more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
        typer.echo(
            f"Predictions of {len(odd)} concepts do not fit: {', '.join(odd[:_SHOWN])}{more}"
        )
