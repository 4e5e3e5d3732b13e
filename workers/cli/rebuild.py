"""Replace stored estimates that differ from the response log."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any, Final

import typer

from workers.app.servers import open_ledger
from workers.app.worker import parameters_source
from workers.cli.one_learner import learner_count, require_known, scope_of
from workers.cli.progress import progress_bar
from workers.cli.publishing import publish_pending, published_line
from workers.cli.setting_up import set_up
from workers.config.settings import Settings
from workers.ledger.protocol import Ledger
from workers.operations.repair.rebuilding import Rebuilder, Rebuilt
from workers.operations.repair.scope import Scope

_SHOWN: Final = 20


def run_rebuild(
    tenant: str | None, student: str | None, *, dry_run: bool, accept_log: bool, as_json: bool
) -> None:
    """Rebuild all learners or one; exit with 1 if a log is damaged, or a dry run finds work.

    Args:
        tenant: only learners of this tenant; None for all, or for the default one of `student`.
        student: the only student to rebuild.
        dry_run: change nothing.
        accept_log: accept rows of the log that differ from their checksums.
        as_json: print JSON.
    """
    scope = scope_of(tenant, student)
    settings = set_up()
    rebuilt, published, left = asyncio.run(_rebuild(settings, scope, dry_run, accept_log))
    if as_json:
        document = {**_document(rebuilt), "events": published, "dry_run": dry_run}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(_lines(rebuilt, dry_run)))
        if rebuilt.repaired and not dry_run:
            typer.echo(published_line(published, left))
    if rebuilt.damaged or (dry_run and rebuilt.repaired):
        raise typer.Exit(1)


async def _rebuild(
    settings: Settings, scope: Scope, dry_run: bool, accept_log: bool
) -> tuple[Rebuilt, int, str | None]:
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings, stack)
        await require_known(ledger, scope.learner)
        rebuilder = Rebuilder(
            ledger=ledger,
            parameters=parameters_source(settings, ledger),
            dry_run=dry_run,
            accept_log=accept_log,
        )
        rebuilt = await _all(ledger, rebuilder, scope)
        if dry_run or not rebuilt.repaired:
            return rebuilt, 0, None
        return rebuilt, *await publish_pending(ledger, settings)


async def _all(ledger: Ledger, rebuilder: Rebuilder, scope: Scope) -> Rebuilt:
    rebuilt = Rebuilt()
    with progress_bar() as bar:
        task = bar.add_task("rebuilding", total=await learner_count(ledger, scope))
        async for page in rebuilder.rebuild(scope=scope):
            rebuilt.learners += page.learners
            rebuilt.repaired += page.repaired
            rebuilt.damaged += page.damaged
            rebuilt.sealed += page.sealed
            bar.update(task, completed=rebuilt.learners)
    return rebuilt


def _document(rebuilt: Rebuilt) -> dict[str, Any]:
    return {
        "learners": rebuilt.learners,
        "repaired": [key._asdict() for key in rebuilt.repaired],
        "damaged": [key._asdict() for key in rebuilt.damaged],
        "rows_sealed": rebuilt.sealed,
    }


def _lines(rebuilt: Rebuilt, dry_run: bool) -> list[str]:
    lines = [
        f"tenant {key.tenant_id!r}, student {key.student_id!r}: the log was altered; "
        "restore its rows from a backup, or give --accept-log (`mastery verify` names the rows)"
        for key in rebuilt.damaged[:_SHOWN]
    ]
    if len(rebuilt.damaged) > _SHOWN:
        lines.append(f"… and {len(rebuilt.damaged) - _SHOWN} more")
    repaired, sealed = ("to be repaired", "to be given") if dry_run else ("repaired", "given")
    lines.append(
        f"{rebuilt.learners} learners: {len(rebuilt.repaired)} {repaired}, "
        f"{len(rebuilt.damaged)} left alone, {rebuilt.sealed} checksums {sealed}"
    )
    return lines
