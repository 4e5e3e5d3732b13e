"""`mastery rebuild`: stored states become again what the log gives."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final

import typer

from workers.app.servers import open_ledger
from workers.app.worker import parameters_source
from workers.cli.one_learner import Student, Tenant, one_learner, require_known
from workers.cli.progress import progress_bar
from workers.cli.telling import tell, told_line
from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.estimation.learner import LearnerKey
from workers.ledger.protocol import Ledger
from workers.operations.repair.rebuilding import Rebuilder, Rebuilt

_SHOWN: Final = 20


def rebuild(  # typer reads the parameters by name
    tenant: Tenant = None,
    student: Student = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only look; non-zero if anything is to be repaired.")
    ] = False,
    accept_log: Annotated[
        bool,
        typer.Option("--accept-log", help="Take altered rows of the log for right as they are."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay learners' logs and replace stored states that are not what they give."""
    only = one_learner(tenant, student)
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    found, told, left = asyncio.run(_rebuild(settings, only, dry_run, accept_log))
    if as_json:
        document = {**_document(found), "events": told, "dry_run": dry_run}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(_lines(found, dry_run)))
        if found.repaired and not dry_run:
            typer.echo(told_line(told, left))
    if found.damaged or (dry_run and found.repaired):
        raise typer.Exit(1)


async def _rebuild(
    settings: Settings, only: LearnerKey | None, dry_run: bool, accept_log: bool
) -> tuple[Rebuilt, int, str | None]:
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings, stack)
        await require_known(ledger, only)
        rebuilder = Rebuilder(
            ledger=ledger,
            parameters=parameters_source(settings, ledger),
            dry_run=dry_run,
            accept_log=accept_log,
        )
        found = await _all(ledger, rebuilder, only)
        if dry_run or not found.repaired:
            return found, 0, None
        return found, *await tell(ledger, settings)


async def _all(ledger: Ledger, rebuilder: Rebuilder, only: LearnerKey | None) -> Rebuilt:
    found = Rebuilt()
    with progress_bar() as bar:
        total = 1 if only is not None else await ledger.count()
        task = bar.add_task("rebuilding", total=total)
        async for page in rebuilder.rebuild(only):
            found.learners += page.learners
            found.repaired += page.repaired
            found.damaged += page.damaged
            found.sealed += page.sealed
            bar.update(task, completed=found.learners)
    return found


def _document(found: Rebuilt) -> dict[str, Any]:
    return {
        "learners": found.learners,
        "repaired": [key._asdict() for key in found.repaired],
        "damaged": [key._asdict() for key in found.damaged],
        "rows_sealed": found.sealed,
    }


def _lines(found: Rebuilt, dry_run: bool) -> list[str]:
    lines = [
        f"tenant {key.tenant_id!r}, student {key.student_id!r}: the log is not what was written; "
        "restore its rows from a backup, or say --accept-log (`mastery verify` names them)"
        for key in found.damaged[:_SHOWN]
    ]
    if len(found.damaged) > _SHOWN:
        lines.append(f"… and {len(found.damaged) - _SHOWN} more")
    repaired, sealed = ("to be repaired", "to be given") if dry_run else ("repaired", "given")
    lines.append(
        f"{found.learners} learners: {len(found.repaired)} {repaired}, "
        f"{len(found.damaged)} left alone, {found.sealed} checksums {sealed}"
    )
    return lines
