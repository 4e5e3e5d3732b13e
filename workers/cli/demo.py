"""Run a simulated class through the whole engine in one process."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console

from workers.app.lifecycle import stop_on_signals
from workers.app.servers import Servers
from workers.app.worker import running_worker
from workers.cli.run_through import run_through
from workers.cli.verify import compare
from workers.common.errors import MasteryError
from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.demo.classroom import Classroom, simulate
from workers.demo.gathering import gather
from workers.demo.report import render_report, summary_table
from workers.demo.report_data import ReportData
from workers.importing.csv_responses import Columns, CsvResponses
from workers.importing.delegate import Delegate
from workers.importing.events import Entry, entries

_SUBJECT: Final = "mastery-demo"
_EMBEDDED: Final[Mapping[str, Any]] = {
    "environment": "development",
    "redis_url": None,
    "stream_shards": 0,
    "stream_keep": 1_000_000_000,
    "supabase_url": None,
    "supabase_service_role_key": None,
    "database_url": None,
    "database_replica_url": None,
    "neo4j_uri": None,
    "neo4j_password": None,
    "embedded_directory": None,
    "jwt_mode": "trust",
    "jwt_jwks_url": None,
    "jwt_secret": None,
    "jwt_algorithms": (),
}
"""Overrides the environment: a demonstration uses no server and keeps all events."""


@dataclass(frozen=True, slots=True)
class _Lesson:
    """The responses of a demonstration."""

    source: str
    deliveries: Iterable[Mapping[str, object]]
    total: int
    classroom: Classroom | None


def run_demo(
    file: Path | None,
    columns: Columns,
    report: Path,
    *,
    separator: str,
    students: int,
    answers: int,
) -> None:
    """Run a class through the engine, and write a report.

    Args:
        file: a CSV of real responses instead of a simulated class.
        columns: the names of its columns.
        report: the path of the report.
        separator: separates the concepts within a cell of the file.
        students: size of the simulated class.
        answers: answers of each simulated student.

    Raises:
        InputFileError: the file is not a CSV of responses.
        MasteryError: the stored state differs from a replay of the log.
    """
    configure_logs("WARNING")
    settings = load_settings(**_EMBEDDED)
    if file is None:
        classroom = simulate(students=students, answers_per_student=answers)
        delivered = classroom.delivered()
        source = f"{len(classroom.students)} simulated students whose knowledge is known"
        lesson = _Lesson(source, delivered, len(delivered), classroom)
    else:
        responses = CsvResponses(file, columns, separator=separator, latest=datetime.now(UTC))
        fields = (response.fields() for response in responses)
        lesson = _Lesson(f"responses of {file.name}", fields, responses.count(), None)
    data = asyncio.run(_demo(settings, lesson))
    report.write_text(render_report(data), encoding="utf-8")
    Console().print(summary_table(data))
    typer.echo(f"The report with its curves: {report.resolve()}")


async def _demo(settings: Settings, lesson: _Lesson) -> ReportData:
    delegate = Delegate.of_settings(settings, _SUBJECT, datetime.now(UTC))

    async def batches() -> AsyncIterator[Iterable[Entry]]:
        yield entries(lesson.deliveries, delegate)

    stopped = stop_on_signals()
    async with running_worker(settings, http=False) as (worker, servers):
        seconds = await run_through(
            worker, servers.redis, batches(), total=lesson.total, shard_count=0, stopped=stopped
        )
        if seconds is None:
            raise typer.Exit(130)
        return await _conclude(settings, servers, lesson, seconds)


async def _conclude(
    settings: Settings, servers: Servers, lesson: _Lesson, seconds: float
) -> ReportData:
    learners, responses, differences = await compare(servers.ledger, settings)
    if differences:
        shown = "; ".join(map(str, differences[:3]))
        raise MasteryError(f"the stored state differs from a replay of the log: {shown}")
    facts = {"Verified": f"{learners:,} learners, no difference from a replay of the log"}
    if lesson.classroom is not None:
        facts["Sent late, sent twice"] = (
            f"{lesson.classroom.late:,} and {lesson.classroom.repeats:,} of {lesson.total:,}"
        )
    return await gather(
        servers,
        title="Mastery report",
        source=lesson.source,
        responses=responses,
        duration_s=seconds,
        threshold=settings.mastery_threshold,
        classroom=lesson.classroom,
        facts=facts,
    )
