"""`mastery replay FILE`: a CSV of responses through the whole engine."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

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


def replay(  # noqa: PLR0917  # typer reads the parameters by name
    file: Annotated[Path, typer.Argument(help="A CSV of responses, plain or .gz.")],
    student: Annotated[str, typer.Option(help="Column of the student.")] = "student",
    item: Annotated[str, typer.Option(help="Column of the item.")] = "item",
    concept: Annotated[str, typer.Option(help="Column of the concept or concepts.")] = "concept",
    correct: Annotated[str, typer.Option(help="Column of 0/1 or of a score.")] = "correct",
    order: Annotated[
        str, typer.Option(help="Column of the place in the student's order.")
    ] = "order",
    time_column: Annotated[
        str | None, typer.Option("--time", help="Column of the time; then order is not read.")
    ] = None,
    separator: Annotated[str, typer.Option(help="Between the concepts of one cell.")] = "~~",
    tenant: Annotated[str | None, typer.Option(help="The students' tenant.")] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=0.001, help="Times as fast as the answers were given; else at once."),
    ] = None,
) -> None:
    """Publish a CSV of responses with a delegated role, and process them."""
    settings = load_settings()
    configure_logs(
        "WARNING" if settings.log_level == "INFO" else settings.log_level, settings.log_format
    )
    responses = CsvResponses(
        file,
        Columns(student, item, concept, correct, order, time_column),
        separator=separator,
        latest=datetime.now(UTC),
    )
    asyncio.run(_replay(settings, responses, tenant, speed))


async def _replay(
    settings: Settings, responses: CsvResponses, tenant: str | None, speed: float | None
) -> None:
    total = responses.count()
    delegate = Delegate.of_settings(settings, _SUBJECT, datetime.now(UTC), tenant)

    async def batches() -> AsyncIterator[Iterable[Entry]]:
        async for batch in _paced(responses, speed):
            fields = (one.fields() for one in batch)
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
        typer.echo("stopped early: what was published is in the stream, for any worker")
    else:
        typer.echo(f"{total} responses in {seconds:.1f} s: {total / seconds:.0f} a second")


async def _paced(
    responses: CsvResponses, speed: float | None
) -> AsyncIterator[Iterable[CsvResponse]]:
    """All answers at once, or at the times at which they were given, `speed` times as fast."""
    if speed is None:
        yield responses
        return
    ordered = sorted(responses, key=lambda one: one.answered_at)
    began = time.monotonic()
    waiting: list[CsvResponse] = []
    for one in ordered:
        due = began + (one.answered_at - ordered[0].answered_at).total_seconds() / speed
        if due > time.monotonic() and waiting:
            yield waiting
            waiting = []
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        waiting.append(one)
    yield waiting
