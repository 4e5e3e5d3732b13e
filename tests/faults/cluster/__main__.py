"""Failovers under load: ``python -m tests.faults.cluster --strikes killed,frozen --times 2``.

Prints what was lost of what was confirmed, and how soon the struck shard was back; exits with 1 if
anything confirmed was lost, an event came twice or a state is wrong.
"""

import argparse
import asyncio
import sys

from contracts.client.confirmation import Confirmation
from tests.faults.cluster.run import ClusterSize, described, run
from tests.faults.cluster.strikes import STRIKES
from tests.faults.servers import PostgresServer, scratch


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.cluster")
    parser.add_argument("--strikes", default=",".join(STRIKES), help="names, in their order")
    parser.add_argument("--times", type=int, default=1, help="how often they are repeated")
    parser.add_argument("--rate", type=float, default=300.0, help="events a second")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replicas", type=int, default=1, help="0: publish without confirmation")
    parser.add_argument("--node-timeout-ms", type=int, default=2_000)
    parser.add_argument("--oracle", action="store_true", help="replay all answers independently")
    return parser.parse_args()


async def _run(options: argparse.Namespace) -> int:
    strikes = tuple(options.strikes.split(",")) * options.times
    unknown = [name for name in strikes if name not in STRIKES]
    if unknown:
        sys.exit(f"there is no strike {unknown[0]}: give some of {', '.join(STRIKES)}")
    size = ClusterSize(
        strikes,
        rate=options.rate,
        workers=options.workers,
        seed=options.seed,
        students=600,
        batch_size=500,
        confirmation=Confirmation(options.replicas) if options.replicas else None,
        node_timeout_ms=options.node_timeout_ms,
        oracle=options.oracle,
    )
    with scratch() as directory:
        postgres = PostgresServer(directory / "postgres")
        postgres.create()
        try:
            outcome = await run(size, postgres=postgres)
        finally:
            postgres.process.stop()
    lines = [described([outcome])]
    lines += [
        f"  {name}: promoted after {promoted_s:.1f} s, silent for {silent_s:.1f} s, "
        f"full rate after {full_s:.1f} s"
        for name, promoted_s, silent_s, full_s in zip(
            strikes, outcome.promoted_s, outcome.resumed_s, outcome.full_rate_s, strict=False
        )
    ]
    print("\n".join(lines))  # noqa: T201  # the result
    wrong = outcome.lost_answers or outcome.lost_events or outcome.doubled_events
    return 1 if wrong or outcome.problems else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_run(_options())))
