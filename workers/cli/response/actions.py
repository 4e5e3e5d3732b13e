"""Correct recorded responses: void and rescore."""

import asyncio
import json
from contextlib import AsyncExitStack

import typer

from workers.app.servers import open_ledger
from workers.app.worker import parameters_source
from workers.cli.one_learner import require_known
from workers.cli.progress import progress_bar
from workers.cli.publishing import publish_pending
from workers.cli.response.report import Report
from workers.cli.response.target import Target
from workers.cli.setting_up import set_up
from workers.config.settings import Settings
from workers.ledger.protocol import Ledger
from workers.ledger.repair import ItemSpan
from workers.operations.repair.correcting import Corrector, Verdict


def correct(target: Target, verdict: Verdict, *, dry_run: bool, as_json: bool) -> None:
    """Correct responses and print a report; exit with 1 if a log is damaged.

    Args:
        target: the responses.
        verdict: the correction.
        dry_run: only count.
        as_json: print JSON.

    Raises:
        BadParameter: the learner is unknown, or has no such response.
    """
    settings = set_up()
    report = asyncio.run(_correct(settings, target, verdict, dry_run=dry_run))
    if unknown := report.of("unknown"):
        key, response_id, *_ = unknown[0]
        raise typer.BadParameter(
            f"student {key.student_id!r} of tenant {key.tenant_id!r} has no response {response_id}"
        )
    if as_json:
        typer.echo(json.dumps(report.document(dry_run), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(report.lines(dry_run)))
    if report.of("damaged"):
        raise typer.Exit(1)


async def _correct(
    settings: Settings, target: Target, verdict: Verdict, *, dry_run: bool
) -> Report:
    report = Report()
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings, stack)
        corrector = Corrector(
            ledger=ledger,
            parameters=parameters_source(settings, ledger),
            verdict=verdict,
            dry_run=dry_run,
        )
        if isinstance(target, ItemSpan):
            await _of_item(ledger, corrector, target, report)
        else:
            await require_known(ledger, target[0])
            report.done = await corrector.correct([target])
        if not dry_run:
            report.published, report.left = await publish_pending(ledger, settings)
    return report


async def _of_item(ledger: Ledger, corrector: Corrector, span: ItemSpan, report: Report) -> None:
    with progress_bar() as bar:
        total = await ledger.count()
        task = bar.add_task("correcting", total=total)
        async for looked_at, page in corrector.of_item(span):
            report.done += page
            bar.update(task, completed=min(looked_at, total))
