"""The fault runs again and again, longer than CI has time for.

    uv run python -m tests.faults --list
    uv run python -m tests.faults --rounds 20 --responses 100000 --only redis_killed
    uv run python -m tests.faults --hours 8 --seed 7
    uv run python -m tests.faults --seed 7 --from 31 --until 34

With `--hours` or `--until` the faults come in an order that `--seed` alone decides, with times and
loads, until the first one that leaves anything wrong.

Redis, Postgres and PostgREST are started for it, and ended. The faults of Neo4j need the server
that `.ci/servers.sh start` describes, and are left out where there is none.
"""

# ruff: noqa: T201  # the command's own voice
import argparse
import asyncio
import math
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from tests.faults.catalogue import FAULTS, Fault
from tests.faults.chaos.run import LongRun, Span
from tests.faults.run import Outcome, run
from tests.faults.servers import PostgresServer, scratch
from tests.faults.stage import Need, Size
from tests.support.servers import Neo4j, exclusive_neo4j

_GRAPH = ("TEST_NEO4J_URI", "TEST_NEO4J_USERNAME", "TEST_NEO4J_PASSWORD")


def _chosen(names: list[str]) -> list[Fault]:
    unknown = set(names) - {fault.name for fault in FAULTS}
    if unknown:
        raise SystemExit(f"no such fault: {', '.join(sorted(unknown))}; see --list")
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    if not all(os.environ.get(name) for name in _GRAPH):
        left_out = [fault.name for fault in chosen if Need.GRAPH in fault.needs]
        if left_out:
            print(f"no Neo4j, left out: {', '.join(left_out)}")
        chosen = [fault for fault in chosen if Need.GRAPH not in fault.needs]
    return chosen


@asynccontextmanager
async def _servers(*, graph: bool) -> AsyncIterator[tuple[PostgresServer, Neo4j | None]]:
    async with AsyncExitStack() as stack:
        postgres = PostgresServer(stack.enter_context(scratch()) / "postgres")
        postgres.create()
        stack.callback(postgres.process.stop)
        neo4j = None
        if graph:
            uri, username, password = (os.environ[name] for name in _GRAPH)
            server = Neo4j(uri=uri, username=username, password=password)
            neo4j = await stack.enter_async_context(exclusive_neo4j(server))
        yield postgres, neo4j


async def _long(options: argparse.Namespace) -> int:
    missing = not all(os.environ.get(name) for name in _GRAPH)
    span = Span(options.hours or math.inf, options.first, options.last)
    return await LongRun(
        options.seed,
        span,
        servers=_servers,
        without={Need.GRAPH} if missing else (),
        say=lambda line: print(line, flush=True),
    ).run()


def _row(name: str, outcomes: list[Outcome]) -> str:
    def worst(values: list[float | None]) -> str:
        known = [value for value in values if value is not None]
        return f"{max(known):.1f}" if known else "-"

    repeated = [float(o.repeated) if o.repeated is not None else None for o in outcomes]
    wrong = sum(bool(outcome.problems) for outcome in outcomes)
    return (
        f"{name:<28}{len(outcomes):>7}{worst([o.noticed_s for o in outcomes]):>9}"
        f"{worst([o.ready_s for o in outcomes]):>9}{worst([o.full_speed_s for o in outcomes]):>9}"
        f"{worst(repeated).removesuffix('.0'):>10}{wrong:>7}"
    )


async def _main(options: argparse.Namespace) -> int:
    chosen = _chosen(options.only)
    size = Size(
        responses=options.responses,
        rate=options.rate,
        workers=options.workers,
        batch_size=options.batch_size,
        students=max(60, options.responses // 100),
    )
    outcomes: dict[str, list[Outcome]] = {fault.name: [] for fault in chosen}
    for number in range(options.rounds):
        for fault in chosen:
            try:
                async with _servers(graph=Need.GRAPH in fault.needs) as (postgres, neo4j):
                    outcome = await run(
                        fault, replace(size, seed=number + 1), postgres=postgres, neo4j=neo4j
                    )
            except pytest.skip.Exception as missing:
                print(f"{fault.name} is left out: {missing}")
                continue
            outcomes[fault.name].append(outcome)
            print(f"round {number + 1}: {_row(fault.name, [outcome])}  {outcome.reason}")
            for problem in outcome.problems:
                print(f"    {problem}")
    print("\nthe worst of all rounds; seconds are counted from the server's return")
    print(
        f"{'fault':<28}{'rounds':>7}{'noticed':>9}{'ready':>9}{'speed':>9}{'repeated':>10}"
        f"{'wrong':>7}"
    )
    for name, of_fault in outcomes.items():
        print(_row(name, of_fault))
    return int(any(outcome.problems for all_ in outcomes.values() for outcome in all_))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="the names of all faults")
    parser.add_argument("--only", nargs="+", default=[], metavar="FAULT")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--responses", type=int, default=Size.responses)
    parser.add_argument("--rate", type=float, default=Size.rate, help="events a second")
    parser.add_argument("--workers", type=int, default=Size.workers)
    parser.add_argument("--batch-size", type=int, default=Size.batch_size)
    parser.add_argument("--hours", type=float, help="begin no fault after this time")
    parser.add_argument("--seed", type=int, default=1, help="of the order; 1 unless given")
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="K",
                        help="begin with the servers of fault K")  # fmt: skip
    parser.add_argument("--until", type=int, dest="last", metavar="K", help="end after fault K")
    chosen_options = parser.parse_args()
    if chosen_options.list:
        print("\n".join(fault.name for fault in FAULTS))
        raise SystemExit
    by_seed = chosen_options.hours is not None or chosen_options.last is not None
    raise SystemExit(asyncio.run((_long if by_seed else _main)(chosen_options)))
