"""Measure in-order answers before and during an activation of other parameters.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.activation                     # 10,000 learners with 300 answers each
    uv run python -m bench.activation --learners 1000 --responses 2000

One worker of role engine, which also replays learners in the background, as users start it. Rate:
entries by the time from the first XADD until the last acknowledgement. Latency: from the moment at
which an entry is due until its event is read, at half the rate before. `left` is the number of
learners under the old parameters before and after a measurement; the activation goes on as long as
it is not 0. Rates during the activation are measured once at its beginning, when most learners who
answer were not replayed, and after the latency.
"""

import argparse
import asyncio
import logging
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from bench.speed.cases import Contender
from bench.speed.latency import loaded_ms
from bench.speed.servers import servers
from bench.speed.sides import Side, Sizes, side
from tests.support.parameters_documents import CALIBRATED
from workers.ledger.sql.direct import DirectLedger

_SHARE: Final = 0.5


async def main(learners: int, history: int, responses: int, patience_s: float) -> None:
    contender = Contender("activation", learners=learners, history=history)
    sizes = Sizes(responses, 1, "direct", None)
    async with servers([contender], "direct") as shared:
        _tell("storing answers")
        async with side(contender, 0, shared, sizes) as running:
            ledger = DirectLedger(running.setting.dsn)
            try:
                await _measure(running, ledger, patience_s)
            finally:
                await ledger.close()


async def _measure(running: Side, ledger: DirectLedger, patience_s: float) -> None:
    version = await ledger.store("bkt", CALIBRATED, {}, "")
    await _rate(running)

    async def shown(what: str, measure: Callable[[], Awaitable[str]]) -> None:
        before = await ledger.outdated_count()
        text = await measure()
        left = await ledger.outdated_count()
        print(f"{what:>7}: {text}; left {before:,} to {left:,}", flush=True)

    rates: list[float] = []

    async def rate() -> str:
        rates.append(await _rate(running))
        return f"{rates[-1]:,.0f}/s, {rates[-1] / rates[0]:.2f} of before"

    async def latency() -> str:
        times = sorted(await loaded_ms(running, _SHARE * rates[0]))
        p99 = times[int(0.99 * (len(times) - 1))]
        return f"p50 {statistics.median(times):,.0f} ms, p99 {p99:,.0f} ms at {_SHARE:.0%}"

    await shown("before", rate)
    await shown("before", latency)
    await ledger.activate(version, "bench")
    activated = time.perf_counter()
    await shown("during", rate)
    await shown("during", latency)
    await shown("during", rate)
    until = activated + patience_s
    while (left := await ledger.outdated_count()) and time.perf_counter() < until:
        running.check()
        await asyncio.sleep(0.5)
    print(f"{left:,} left {time.perf_counter() - activated:.0f} s after the activation")
    if not left:
        await shown("after", rate)


async def _rate(running: Side) -> float:
    packed = await running.packed(running.entries())
    began = time.perf_counter()
    await running.drained(await running.send(packed))
    return running.sizes.responses / (time.perf_counter() - began)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m bench.activation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--learners", type=int, default=10_000)
    parser.add_argument("--history", type=int, default=300, help="stored answers of each")
    parser.add_argument("--responses", type=int, default=10_000, help="entries of each rate")
    parser.add_argument(
        "--patience", type=float, default=900, help="wait so long for the end, seconds"
    )
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(
        main(arguments.learners, arguments.history, arguments.responses, arguments.patience)
    )
