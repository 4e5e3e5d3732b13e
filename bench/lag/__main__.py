"""Compare the simulated lag of bursts with the measured one, and simulate a school day.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.lag                          # three bursts and a failover, measured
    uv run python -m bench.lag --day 10000 --shards 8 --rate 3000

The simulation takes the worker's rates from a run before the bursts, on other entries. The time
without a reader in the failover is taken from the measurement: a lease and a claim decide it.
`--day` needs no servers: it simulates one shard of `--shards` at the start of lessons, when half of
an hour's answers come within ten minutes.
"""

import argparse
import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

import structlog

from bench.lag.bursts import BURSTS, FAILOVER, Burst, measured, rates_of
from bench.lag.simulation import Outage, Rates, arrivals_of, simulate
from bench.speed.cases import BASE
from bench.speed.report import percentile
from bench.speed.servers import servers
from bench.speed.sides import Side, Sizes, side

_BELL: Final = ((0, 0.2), (600, 0.2), (900, 3.0), (1200, 3.0), (1500, 1.0), (3600, 1.0))
"""Rate of the hour from 07:50 as multiples of its mean rate: lessons begin at 08:00."""
_HANDOVER_S: Final = 5.0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.lag",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--responses", type=int, default=10_000, help="of the run for the rates")
    parser.add_argument(
        "--day", type=float, help="simulate a mean rate of so many responses a second"
    )
    parser.add_argument("--shards", type=int, default=1, help="shards of the simulated day")
    parser.add_argument("--rate", type=float, default=2_000, help="entries a second of a reader")
    return parser


async def bursts(options: argparse.Namespace) -> None:
    sizes = Sizes(options.responses, 1, "direct", None)
    contender = replace(BASE, workers=2)
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(servers([contender], sizes.ledger))
        worker = await stack.enter_async_context(side(contender, 0, shared, sizes))
        await rates_of(worker, options.responses // 2)  # warm
        print("| burst | entries | peak | simulated | of it | drained s | simulated | of it |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for burst in (*BURSTS, FAILOVER):
            rates = await rates_of(worker, options.responses)
            await _compare(worker, burst, rates)
        print(f"\nThe last rates: {1 / rates.entry_s:,.0f} entries/s, {1e3 * rates.lone_s:.1f} ms")


async def _compare(worker: Side, burst: Burst, rates: Rates) -> None:
    arrivals = burst.arrivals(1 / rates.entry_s)
    trace, outages = await measured(worker, burst, arrivals, lambda: _kill_reader(worker))
    simulated, _ = simulate(arrivals, rates, outages)
    entries = sum(arrival.entries for arrival in arrivals)
    cells = [
        *(burst.label, f"{entries:,}"),
        *(f"{trace.peak:,}", f"{simulated.peak:,}", f"{simulated.peak / trace.peak:.2f}"),
        *(f"{trace.drained_s:.1f}", f"{simulated.drained_s:.1f}"),
        f"{simulated.drained_s / trace.drained_s:.2f}",
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


def _kill_reader(worker: Side) -> None:
    """Kill the process that used most processor time: the other one stands by."""
    busiest = max(
        range(len(worker.families)),
        key=lambda n: sum(worker.families[n][0].cpu_times()[:2]),
    )
    worker.processes[busiest].send_signal(signal.SIGKILL)
    worker.processes[busiest].wait()
    del worker.processes[busiest], worker.families[busiest]


def day(options: argparse.Namespace) -> None:
    rates = Rates(1 / options.rate, 0.02)
    mean = options.day / options.shards
    arrivals = arrivals_of([(at_s, mean * share) for at_s, share in _BELL], 0.1)
    at_peak = Outage(1_000, 1_000 + _HANDOVER_S)
    print("| run | peak /s of a shard | most waiting | longest wait s | p50 ms | p99 ms |")
    print("|---|---:|---:|---:|---:|---:|")
    for label, outages in (("undisturbed", []), ("a failover at the peak", [at_peak])):
        trace, waits = simulate(arrivals, rates, outages)
        cells = [label, f"{3 * mean:,.0f}", f"{trace.peak:,}", f"{max(waits):.2f}"]
        cells += [f"{1e3 * percentile(waits, p):,.0f}" for p in (50, 99)]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    chosen = arguments().parse_args()
    if chosen.day is None:
        asyncio.run(bursts(chosen))
    else:
        day(chosen)
