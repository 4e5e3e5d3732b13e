"""Run a CSV through a worker on real servers, and compare metrics, `evaluate --live` and the table.

Run: ``uv run python -m bench.live FILE [ROWS]`` with the servers of the tests (``.ci/servers.sh``).
Prints the differences and the figures.
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

from tests.support.live_predictions import (
    drained,
    free_port,
    live_differences,
    metric_differences,
    scraped,
    stored_rows,
)
from tests.support.servers import exclusive_redis, fresh_database, server_variables
from tests.support.whole_run import MASTERY_COMMAND, Setting, publish, start_worker
from workers.importing.csv_responses import CsvResponses
from workers.metrics.drift.monitor import SIZE, SIZE_OF_CONCEPT

ROWS = 20_000


def rows_of(file: Path, count: int) -> list[dict[str, Any]]:
    return [
        {
            "tenant_id": "school",
            "student_id": row.student_id,
            "response_id": row.response_id,
            "session_id": None,
            "item_id": row.item_id,
            "concept_ids": row.concept_ids,
            "scale": "default",
            "score": row.score,
            "answered_at": row.answered_at,
        }
        for row in islice(CsvResponses(file), count)
    ]


async def main(file: Path, count: int) -> int:
    rows = rows_of(file, count)
    redis, database = server_variables("TEST_REDIS_URL", "TEST_DATABASE_URL")
    async with exclusive_redis(redis) as redis_url, fresh_database(database, migrated=True) as dsn:
        setting = Setting(redis_url, {"DATABASE_URL": dsn}, dsn)
        await publish(redis_url, rows)
        port, began = free_port(), time.perf_counter()
        worker = start_worker(setting, "--role", "engine", HTTP_INNER_PORT=str(port))
        try:
            await drained(redis_url)
            print(f"{len(rows):,} responses in {time.perf_counter() - began:.1f} s, start included")
            shown = scraped(port)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait()
        began = time.perf_counter()
        text = subprocess.run(
            [MASTERY_COMMAND, "evaluate", "--live", "--json", "--report", "/tmp/live.html"],  # noqa: S108  # to look at
            env=setting.environment(),
            check=True,
            capture_output=True,
        ).stdout
        print(f"evaluate --live in {time.perf_counter() - began:.1f} s")
        stored = await stored_rows(dsn)
    document = json.loads(text)
    sizes = {"size": SIZE, "size_of_concept": SIZE_OF_CONCEPT}
    wrong = live_differences(document, stored) + metric_differences(shown, stored, **sizes)
    print("all stored: ", json.dumps(document["overall"]))
    for name in ("answers", "auc", "log_loss", "brier", "ece"):
        print(f"the window's {name}: {shown[name, '']:.6f}")
    drifting = [name for (kind, name), value in shown.items() if kind == "drift" and value]
    print("the worker says of drift: ", drifting, "; concepts: ", shown["drift_concepts", "bias"])
    print("\n".join(wrong) or "no difference")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else ROWS)))
