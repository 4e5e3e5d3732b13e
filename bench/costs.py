"""Measure what a response costs: processor time, memory, bytes on disk and on the wire, syncs.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.costs
    uv run python -m bench.costs --responses 100000 --chunk 500

One worker of role engine with a database and a Redis of its own processes responses in chunks.
Bytes on the wire are what the sockets of worker and publisher counted (`ss`), bytes of the
write-ahead log and its syncs what Postgres counted; nobody else may write to that server meanwhile.
"""

import argparse
import asyncio
import logging
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final
from urllib.parse import urlsplit

import structlog

from bench.processor_time import since
from bench.speed.cases import BASE
from bench.speed.servers import Servers, servers
from bench.speed.sides import Side, Sizes, side
from contracts.streams import MASTERY, RESPONSES

_COUNTED: Final = re.compile(r"bytes_(sent|received):(\d+)")
_TABLES: Final = (
    "select regexp_replace(relname, '_[0-9]+$', '') as name, "
    "sum(pg_total_relation_size(oid)) as bytes from pg_class where relkind = 'r' "
    "and relnamespace in ('public'::regnamespace, 'mastery'::regnamespace) group by 1"
)
_WAL: Final = (
    "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as bytes, "
    "(select wal_sync from pg_stat_wal) as syncs"
)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.costs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--responses", type=int, default=20_000)
    parser.add_argument("--chunk", type=int, default=5_000, help="responses published at once")
    return parser


async def main(options: argparse.Namespace) -> None:
    sizes = Sizes(options.responses, 1, "direct", None)
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(servers([BASE], sizes.ledger))
        worker = await stack.enter_async_context(side(BASE, 0, shared, sizes))
        await _process(worker, options.chunk)
        (own,), backends = await worker.used_s()
        others = shared.used_s(BASE, sizes.ledger)
        before = await _counted(worker, shared)
        done = 0
        while done < options.responses:
            await _process(worker, options.chunk)
            done += options.chunk
        after = await _counted(worker, shared)
        (own_after,), backends_after = await worker.used_s()
        others_after = shared.used_s(BASE, sizes.ledger)
    costs = {name: (value - before[name]) / done for name, value in after.items()}
    costs["processor time, worker, µs"] = 1e6 * (own_after - own) / done
    costs["processor time, Postgres, µs"] = 1e6 * since(backends, backends_after) / done
    costs["processor time, Redis, µs"] = 1e6 * (others_after["Redis"] - others["Redis"]) / done
    print("| cost of a response | measured |\n|---|---:|")
    for name in sorted(costs):
        if costs[name] >= 0.0005:
            print(f"| {name} | {costs[name]:,.3g} |")


async def _process(worker: Side, entries: int) -> None:
    await worker.drained(await worker.publish(worker.entries_of(entries)))


async def _counted(worker: Side, shared: Servers) -> Mapping[str, float]:
    """Return all counters, by name and unit."""
    counters: dict[str, float] = {}
    for row in await worker.database.fetch(_TABLES):
        counters[f"disk, table {row['name']} with indexes, bytes"] = float(row["bytes"])
    wal = await worker.database.fetchrow(_WAL)
    counters["disk, write-ahead log, bytes"] = float(wal["bytes"])
    counters["disk, syncs of the write-ahead log"] = float(wal["syncs"])
    for stream, name in ((RESPONSES, "response"), (MASTERY, "its mastery event")):
        counters[f"memory, Redis, {name}, bytes"] = float(
            await worker.client.memory_usage(stream, samples=0) or 0
        )
    info: Any = await worker.client.info()
    counters["disk, append-only file, bytes"] = float(info.get("aof_current_size", 0))
    counters["wire, into Redis, bytes"] = float(info["total_net_input_bytes"])
    counters["wire, out of Redis, bytes"] = float(info["total_net_output_bytes"])
    counters["memory, worker, bytes"] = worker.memory_mb() * 2**20
    sent, received = _sockets(worker, urlsplit(shared.admin).port or 5432)
    counters["wire, into Postgres, bytes"] = float(sent)
    counters["wire, out of Postgres, bytes"] = float(received)
    return counters


def _sockets(worker: Side, port: int) -> tuple[int, int]:
    """Return the bytes that the worker sent to a port and received from it.

    Raises:
        SystemExit: `ss` is not installed.
    """
    program = shutil.which("ss")
    if program is None:
        raise SystemExit("ss is not installed: install the package iproute2")
    listed = subprocess.run(
        [program, "-tinpHO", "dport", "=", f":{port}"], capture_output=True, text=True, check=True
    ).stdout
    totals = {"sent": 0, "received": 0}
    for line in listed.splitlines():
        if f"pid={worker.processes[0].pid}," in line:
            for direction, number in _COUNTED.findall(line):
                totals[direction] += int(number)
    return totals["sent"], totals["received"]


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(main(arguments().parse_args()))
