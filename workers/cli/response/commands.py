"""`mastery response void|rescore`: what was published wrongly counts no more, or as it should."""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated

import typer

from workers.app.servers import open_ledger
from workers.app.worker import parameters_source
from workers.cli.one_learner import DEFAULT_TENANT
from workers.cli.progress import progress_bar
from workers.cli.response.options import (
    DryRun,
    Item,
    Json,
    Reason,
    ResponseId,
    Since,
    Student,
    Tenant,
    Until,
    wanted_of,
)
from workers.cli.response.report import Report
from workers.cli.telling import tell
from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.estimation.learner import LearnerKey
from workers.ledger.protocol import Ledger
from workers.ledger.repair import ItemSpan
from workers.operations.repair.correcting import Corrector, Verdict

app = typer.Typer(
    name="response",
    help="Correct recorded responses: the log keeps them, and says what counts instead.",
    no_args_is_help=True,
)


@dataclass(frozen=True, slots=True)
class _Order:
    """Which responses, and what is to count of them."""

    verdict: Verdict
    wanted: tuple[LearnerKey, str] | ItemSpan
    dry_run: bool


@app.command()
def void(  # noqa: PLR0917  # typer reads the parameters by name
    reason: Reason,
    response_id: ResponseId = None,
    tenant: Tenant = DEFAULT_TENANT,
    student: Student = None,
    item: Item = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let a response, or all responses to an item, count no more; a rescore lifts it."""
    wanted = wanted_of(response_id, tenant, student, item, since, until)
    _run(_Order(Verdict("void", reason), wanted, dry_run), as_json)


@app.command()
def rescore(  # noqa: PLR0917  # typer reads the parameters by name
    reason: Reason,
    response_id: ResponseId = None,
    score: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="The score that counts.")
    ] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="Published correct counts as wrong, and the reverse.")
    ] = False,
    tenant: Tenant = DEFAULT_TENANT,
    student: Student = None,
    item: Item = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let a response, or all responses to an item, count with another score."""
    if flip == (score is not None):
        raise typer.BadParameter("give --score or --flip, one of them")
    if score is not None and not 0.0 <= score <= 1.0:  # NaN passes typer's own check
        raise typer.BadParameter("--score must lie between 0.0 and 1.0")
    verdict = Verdict("flip", reason) if flip else Verdict("rescore", reason, score)
    _run(
        _Order(verdict, wanted_of(response_id, tenant, student, item, since, until), dry_run),
        as_json,
    )


def _run(order: _Order, as_json: bool) -> None:
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    report = asyncio.run(_correct(settings, order))
    if unknown := report.of("unknown"):
        key, response_id, *_ = unknown[0]
        raise typer.BadParameter(
            f"student {key.student_id!r} of tenant {key.tenant_id!r} has no response {response_id}"
        )
    if as_json:
        typer.echo(json.dumps(report.document(order.dry_run), indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(report.lines(order.dry_run)))
    if report.of("damaged"):
        raise typer.Exit(1)


async def _correct(settings: Settings, order: _Order) -> Report:
    report = Report()
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings, stack)
        corrector = Corrector(
            ledger=ledger,
            parameters=parameters_source(settings, ledger),
            verdict=order.verdict,
            dry_run=order.dry_run,
        )
        if isinstance(order.wanted, ItemSpan):
            await _of_item(ledger, corrector, order.wanted, report)
        else:
            report.done = await corrector.correct([order.wanted])
        if not order.dry_run:
            report.told, report.left = await tell(ledger, settings)
    return report


async def _of_item(ledger: Ledger, corrector: Corrector, span: ItemSpan, report: Report) -> None:
    with progress_bar() as bar:
        total = await ledger.count()
        task = bar.add_task("correcting", total=total)
        async for looked_at, page in corrector.of_item(span):
            report.done += page
            bar.update(task, completed=min(looked_at, total))
