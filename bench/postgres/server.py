"""A Postgres of its own for a measurement, and databases on it."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Final

import asyncpg
import structlog

from bench.speed.answers import Row
from tests.faults.servers import PostgresServer, scratch
from tests.support.doubles import admission, record
from tests.support.servers import MIGRATIONS
from tests.support.whole_run import event_of
from workers.admission.verdicts import Admitted
from workers.engine.recorder import Recorder
from workers.ledger.sql.direct import DirectLedger
from workers.streams.batch import RawEntry

_OPTIONS: Final = (
    "shared_buffers=1GB",
    "max_wal_size=4GB",
    "wal_level=replica",
    "checkpoint_timeout=15min",
    "maintenance_work_mem=256MB",
)


class TimedLedger(DirectLedger):
    """Sums the time of each function.

    Attributes:
        spent_s: seconds in calls of a function, by its name.
    """

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn, timeout_s=120)
        self.spent_s: dict[str, float] = {}

    async def _call(self, function: str, document: dict[str, Any]) -> Any:
        began = perf_counter()
        try:
            return await super()._call(function, document)
        finally:
            spent = perf_counter() - began
            self.spent_s[function] = self.spent_s.get(function, 0.0) + spent


@asynccontextmanager
async def own_postgres(*options: str) -> AsyncIterator[PostgresServer]:
    """Start a Postgres with room for millions of rows; its data goes with it."""
    with scratch() as directory:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        server = PostgresServer(directory / "postgres", options=(*_OPTIONS, *options))
        server.create()
        try:
            await server.serving()
            yield server
        finally:
            server.process.stop()


async def database(server: PostgresServer, name: str, schema: str) -> str:
    """Create a database with a schema, and return its DSN."""
    admin = await asyncpg.connect(server.url)
    try:
        await admin.execute(f"create database {name}")
    finally:
        await admin.close()
    dsn = server.url.removesuffix("/postgres") + f"/{name}"
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(schema)
    finally:
        await connection.close()
    return dsn


def schema(partitions: int = 16) -> str:
    """Return our migrations, with another number of partitions of the log."""
    text = "\n".join(file.read_text("utf-8") for file in sorted(MIGRATIONS.glob("*.sql")))
    changed, loops = re.subn(r"for k in 0\.\.15 loop", f"for k in 0..{partitions - 1} loop", text)
    changed, moduli = re.subn(r"modulus 16,", f"modulus {partitions},", changed)
    if (loops, moduli) != (1, 1):
        raise SystemExit("the migrations make their partitions in another way than this expects")
    return changed


async def answer(work: Recorder, rows: list[Row], batch: int, first: int, now_s: int) -> None:
    """Process answers as a worker does, in batches.

    Args:
        work: the recorder of a ledger.
        rows: the answers.
        batch: answers of a batch.
        first: number of the first entry.
        now_s: time at which the answers enter their stream, seconds since 1970.
    """
    judge = admission()
    for start in range(0, len(rows), batch):
        entries = []
        for number, row in enumerate(rows[start : start + batch]):
            entry = RawEntry(
                f"{now_s * 1000}-{first + start + number}", {b"event": event_of(row, now_s)}
            )
            judged = judge.judge(entry)
            if not isinstance(judged, Admitted):
                raise SystemExit(f"a good event is not admitted: {judged}")
            entries.append(judged)
        await record(work, entries)
