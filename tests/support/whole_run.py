"""A whole run of the engine: publish, start worker processes, and kill some.

Workers are processes of the command that users start.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from contracts.streams import shard_of, shards
from workers.common.times import iso, to_us
from workers.streams.connection import client_of

MASTERY_COMMAND = str(Path(sys.executable).with_name("mastery"))


class Started(Protocol):
    """A process, as `subprocess.Popen` describes it."""

    pid: int

    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True)
class Setting:
    """The servers of a run."""

    redis_url: str
    ledger: dict[str, str]
    """Settings of the ledger: `DATABASE_URL`, or `SUPABASE_URL` and its key."""
    dsn: str
    """The ledger's database."""
    graph: dict[str, str] = field(default_factory=dict)
    """Settings of Neo4j; empty means an embedded graph that no check reads."""

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the environment of a worker process: the machine's, and these servers."""
        foreign = ("REDIS_URL", "DATABASE_URL", "SUPABASE_", "NEO4J_", "JWT_", "STREAM_")
        own = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        return {
            **own,
            "REDIS_URL": self.redis_url,
            **self.ledger,
            **self.graph,
            "HTTP_PORT": "0",
            "RECLAIM_AFTER_MS": "2000",
            # Keep all events, because they are counted at the end.
            "STREAM_KEEP": "1000000000",
            "LOG_LEVEL": "WARNING",
            **settings,
        }


def event_of(row: dict[str, Any], issued_at: int) -> bytes:
    """Make the event of a row, as a delegated role publishes it."""
    at = row["answered_at"]
    response = {
        "response_id": row["response_id"],
        "student_id": row["student_id"],
        "item_id": row["item_id"],
        "concept_ids": list(row["concept_ids"]),
        "scale": row["scale"],
        "score": row["score"],
        "answered_at": iso(at if isinstance(at, int) else to_us(at)),
    }
    if row["session_id"] is not None:
        response["session_id"] = row["session_id"]
    claims = {
        "sub": "importer",
        "iss": "https://school.example/auth/v1",
        "aud": "authenticated",
        "role": "service_role",
        "iat": issued_at,
        "exp": issued_at + 86_400,
        "tenant_id": row["tenant_id"],
    }
    return json.dumps(
        {
            "specversion": "1.0",
            "id": row["response_id"],
            "source": "/tests",
            "type": "practice.response.recorded.v1",
            "data": {"claims": claims, "response": response},
        }
    ).encode()


async def publish(redis_url: str, rows: Iterable[dict[str, Any]], *, shard_count: int = 0) -> int:
    """Add the event of each row with a plain XADD, in the given order; return their number."""
    streams = [shard.responses for shard in shards(shard_count)]
    issued_at = int(time.time())
    total = 0
    async with client_of(redis_url) as client:
        pipeline = client.pipeline(transaction=False)
        for total, row in enumerate(rows, 1):  # noqa: B007  # the count of the last one
            stream = streams[shard_of(row["tenant_id"], row["student_id"], shard_count)]
            pipeline.xadd(stream, {"event": event_of(row, issued_at)})
            if len(pipeline) == 1_000:
                await pipeline.execute()
        await pipeline.execute()
    return total


def execute(
    command: Sequence[str], environment: Mapping[str, str], output: BinaryIO | None = None
) -> Started:
    """Start a command; tests of another folder than acceptance replace this by a fork.

    Args:
        command: its words.
        environment: its whole environment.
        output: for what it prints; this process's output and errors if None.
    """
    return subprocess.Popen(command, env=environment, stdout=output, stderr=output)


def start_worker(setting: Setting, *arguments: str, **settings: str) -> Started:
    """Start a worker process; its log goes to this process's standard error."""
    return execute([MASTERY_COMMAND, "worker", *arguments], setting.environment(**settings))


def drain(
    setting: Setting,
    *,
    roles: Sequence[str] = (),
    workers: int = 1,
    kills: int = 0,
    seed: int = 0,
    pause_s: tuple[float, float] = (1.5, 3.0),
    **settings: str,
) -> float:
    """Run workers until everything is drained, killing some on the way; return the seconds.

    Each kill is a SIGKILL of a random worker; another worker replaces it. The pause before a kill
    is random between the two numbers.
    """
    chance = random.Random(seed)
    began = time.monotonic()
    arguments = ["--burst", *(part for role in roles for part in ("--role", role))]
    running = [start_worker(setting, *arguments, **settings) for _ in range(workers)]
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(*pause_s))
            victim = chance.randrange(workers)
            running[victim].send_signal(signal.SIGKILL)
            running[victim].wait()
            running[victim] = start_worker(setting, *arguments, **settings)
        for worker in running:
            assert worker.wait(timeout=3_600) == 0, f"a worker ended with {worker.returncode}"
    finally:
        for worker in running:
            worker.kill()
            worker.wait()
    return time.monotonic() - began


def simulated_rows(count: int, students: int, seed: int = 1) -> list[dict[str, Any]]:
    """Make answers of several tenants with sessions, several concepts, partial credit and ties."""
    chance = random.Random(seed)
    start = datetime(2026, 3, 2, 8, tzinfo=UTC)
    rows = []
    for number in range(count):
        student = chance.randrange(students)
        at = start + timedelta(seconds=chance.randrange(200_000))
        rows.append(
            {
                "tenant_id": f"school-{student % 3}",
                "student_id": f"student-{student // 2}",
                "response_id": f"{number:08x}-0000-4000-8000-{chance.getrandbits(48):012x}",
                "session_id": chance.choice([None, f"s-{at.date()}"]),
                "item_id": f"q-{chance.randrange(50)}",
                "concept_ids": chance.sample(
                    [f"c-{n}" for n in range(6)], chance.choice([1, 1, 2])
                ),
                "scale": chance.choice(["math", "reading"]),
                "score": chance.choice([0.0, 1.0, 1.0, 0.25]),
                "answered_at": to_us(at),
            }
        )
    return rows
