"""Publish a CSV of responses and process it, from the command line."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import typer

from workers.app.lifecycle import stop_on_signals
from workers.app.worker import running_worker
from workers.cli.run_through import run_through
from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.importing.csv_responses import Columns, CsvResponse, CsvResponses
from workers.importing.delegate import Delegate
from workers.importing.events import Entry, entries

_SUBJECT: Final = "mastery-replay"


def run_replay(
    file: Path, columns: Columns, *, separator: str, tenant: str, speed: float | None
) -> None:
    """Publish the responses of a CSV, and process them.

    Args:
        file: plain or .gz.
        columns: the names of its columns.
        separator: separates the concepts within a cell.
        tenant: the tenant of the students.
        speed: multiple of the pace at which the answers were given; None for all at once.

    Raises:
        InputFileError: the file is not a CSV of responses.
    """
    settings = load_settings()
    configure_logs(
        "WARNING" if settings.log_level == "INFO" else settings.log_level, settings.log_format
    )
    responses = CsvResponses(
        file,
        columns,
        separator=separator,
        latest=datetime.now(UTC),
    )
    asyncio.run(_replay(settings, responses, tenant, speed))


async def _replay(
    settings: Settings, responses: CsvResponses, tenant: str, speed: float | None
) -> None:
    total = responses.count()
    delegate = Delegate.of_settings(settings, _SUBJECT, datetime.now(UTC), tenant)

    async def batches() -> AsyncIterator[Iterable[Entry]]:
        async for batch in _paced(responses, speed):
            fields = (response.fields() for response in batch)
            yield entries(fields, delegate, settings.stream_shards)

    stopped = stop_on_signals()
    async with running_worker(settings, http=False) as (worker, servers):
        seconds = await run_through(
            worker,
            servers.redis,
            batches(),
            total=total,
            shard_count=settings.stream_shards,
            stopped=stopped,
        )
    if seconds is None:
        typer.echo("stopped early: any worker will process the responses already published")
    else:
        typer.echo(f"{total} responses in {seconds:.1f} s: {total / seconds:.0f} a second")


async def _paced(
    responses: CsvResponses, speed: float | None
) -> AsyncIterator[Iterable[CsvResponse]]:
    """Yield all answers at once, or at their original pace times `speed`."""
    if speed is None:
        yield responses
        return
    ordered = sorted(responses, key=lambda response: response.answered_at)
    began = time.monotonic()
    waiting: list[CsvResponse] = []
    for response in ordered:
        due = began + (response.answered_at - ordered[0].answered_at).total_seconds() / speed
        if due > time.monotonic() and waiting:
            yield waiting
            waiting = []
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        waiting.append(response)
    yield waiting
