"""Measure workers, and what they are compared with, in turns in one run.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.speed                            # the cases that need no stored answers
    uv run python -m bench.speed --case late --turns 10
    uv run python -m bench.speed --case base --ledger supabase --json FILE
    uv run python -m bench.speed --case base --peer PYTHON  # a Python with edx-event-bus-redis
    PYTHONPATH=OTHER_TREE uv run python -m bench.speed      # another version of the engine

Each case is a run of its own. Its contenders are all ready before the first entry; then each gets a
small chunk in turn. Only ratios within a case, and processor times, can be compared. Redis is this
run's own. Postgres counts with the backends of the contender's database, not with its writers.
"""

import argparse
import asyncio
import json
import logging
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # has no types of its own
import structlog

from bench.speed.cases import CASES, DEFAULT
from bench.speed.report import document, table
from bench.speed.sides import Sizes
from bench.speed.turns import measure


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--case", nargs="+", choices=list(CASES), default=list(DEFAULT), help="cases, by name"
    )
    parser.add_argument("--only", nargs="+", help="labels of the contenders to run, of each case")
    parser.add_argument("--ledger", choices=("direct", "supabase"), default="direct")
    parser.add_argument(
        "--responses", type=int, default=10_000, help="of each contender, in all turns"
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--lone", type=int, default=100, help="events whose latency is measured")
    parser.add_argument("--peer", help="a Python that has edx-event-bus-redis")
    parser.add_argument("--json", type=Path, help="write all that was measured to this file")
    return parser


async def main(options: argparse.Namespace) -> None:
    sizes = Sizes(options.responses, options.turns, options.ledger, options.peer)
    documents = {}
    for case in options.case:
        contenders = [c for c in CASES[case] if options.only is None or c.label in options.only]
        results = await measure(
            contenders, sizes, options.lone, lambda text: print(text, file=sys.stderr, flush=True)
        )
        print(f"\n## {case}, {options.ledger}\n\n{table(results)}", flush=True)
        documents[case] = document(results)
    if options.json is not None:
        content = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "arguments": vars(options) | {"json": None},
            "machine": {
                "cores": psutil.cpu_count(),
                "memory_mb": psutil.virtual_memory().total // 2**20,
                "python": platform.python_version(),
            },
            "cases": documents,
        }
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(main(arguments().parse_args()))
