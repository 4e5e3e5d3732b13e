"""`mastery learner export|erase`: one learner's data, handed out or removed everywhere."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workers.app.servers import Servers, open_servers
from workers.cli.one_learner import DEFAULT_TENANT
from workers.cli.progress import progress_bar
from workers.common.errors import InputFileError
from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.estimation.learner import LearnerKey
from workers.operations.privacy.belonging import Belonging
from workers.operations.privacy.erasing import Eraser, Report
from workers.operations.privacy.exporting import Exporter
from workers.operations.privacy.streams import LearnerStreams

app = typer.Typer(name="learner", help="One learner's data.", no_args_is_help=True)

Student = Annotated[str, typer.Argument(metavar="ID", help="The student.")]
Tenant = Annotated[str, typer.Option(help="The student's tenant.")]


@app.command()
def export(
    student: Student,
    tenant: Tenant = DEFAULT_TENANT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file, not to stdout.")
    ] = None,
) -> None:
    """Print all that is held of a learner as JSON, without tokens."""
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    asyncio.run(_export(settings, LearnerKey(tenant, student), output))


async def _export(settings: Settings, key: LearnerKey, output: Path | None) -> None:
    async with _opened(settings, key) as (servers, streams):
        exporter = Exporter(ledger=servers.ledger, graph=servers.graph, streams=streams)
        try:
            with open(output or 1, "wb", closefd=output is not None) as file:  # noqa: ASYNC230  # the command's only work; stdout is a number
                async for piece in exporter.export(key):
                    file.write(piece)
        except OSError as error:
            raise InputFileError(f"{output or 'stdout'} can't be written: {error}") from error


@app.command()
def erase(  # noqa: PLR0917  # typer reads the parameters by name
    student: Student,
    tenant: Tenant = DEFAULT_TENANT,
    refuse: Annotated[
        bool,
        typer.Option("--refuse", help="Refuse later events of this learner; else they start anew."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Remove a learner everywhere: ledger, graph, streams, dead letters; asks before."""
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    key = LearnerKey(tenant, student)
    if not (yes or dry_run):
        typer.confirm(
            f"Erase all that is held of student {student!r} of tenant {tenant!r}, for good?",
            abort=True,
            err=True,
        )
    report = asyncio.run(_erase(settings, key, refuse=refuse, dry_run=dry_run))
    if as_json:
        said = {**key._asdict(), "refuse": refuse, "dry_run": dry_run, **asdict(report)}
        typer.echo(json.dumps(said, indent=2))
    else:
        typer.echo("\n".join(_lines(report, dry_run=dry_run, refuse=refuse)))


async def _erase(settings: Settings, key: LearnerKey, *, refuse: bool, dry_run: bool) -> Report:
    async with _opened(settings, key) as (servers, streams):
        eraser = Eraser(ledger=servers.ledger, graph=servers.graph, streams=streams)
        if dry_run:
            return await eraser.preview(key)
        with progress_bar() as bar:
            bar.add_task("erasing", total=None)
            report = await eraser.erase(key, refuse=refuse)
        forgotten_ms = await streams.now_ms() - settings.max_queue_age_s * 1000
        await servers.ledger.forget_erasures(forgotten_ms)
        return report


@asynccontextmanager
async def _opened(
    settings: Settings, key: LearnerKey
) -> AsyncIterator[tuple[Servers, LearnerStreams]]:
    belonging = Belonging(key, settings.jwt_tenant_claim, frozenset(settings.jwt_delegate_roles))
    async with open_servers(settings) as servers:
        # All of them answer before the first is touched.
        await servers.ledger.ping()
        await servers.graph.prepare()
        streams = LearnerStreams(servers.redis, settings.stream_shards, belonging)
        await streams.now_ms()
        if settings.redis_url is None:
            print(  # noqa: T201  # beside the document on stdout
                "REDIS_URL is unset: no stream is looked at", file=sys.stderr
            )
        yield servers, streams


def _lines(report: Report, *, dry_run: bool, refuse: bool) -> list[str]:
    would = "would be " if dry_run else ""
    lines = [f"{table}: {count} rows {would}erased" for table, count in report.rows.items()]
    lines.append(f"graph: {report.relationships} relationships {would}erased")
    lines.append(
        f"streams: {report.responses} responses, {report.mastery} mastery events, "
        f"{report.unlocked} unlocked concepts, {report.jobs} jobs, {report.job_records} records of "
        f"jobs, {report.letters} dead letters {would}erased"
    )
    if not dry_run:
        lines.append(
            f"looked {report.looks} times, at last nothing was found; later events "
            + ("are refused" if refuse else "start anew")
        )
    return lines
