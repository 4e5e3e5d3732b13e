"""What counting responses costs: load, fold and commit with `RATE_LIMIT` on against off.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.rates

Batches of 500 responses of 250 learners are recorded into one fresh Postgres, in turn with and
without a limit; each side has its own learners. Absolute rates are this machine's of this moment;
the rounds alternate, so the ratio holds where the rates swing.
"""

import argparse
import asyncio
import statistics
import time

from tests.factories import event_json
from tests.servers import fresh_database, server_variables
from tests.unit.doubles import PARAMETERS, STREAM, admission, entry_id, raw
from workers.intake.admission import Admitted
from workers.ledger.direct import DirectLedger
from workers.patience import Patience
from workers.rates import RateLimit
from workers.recorder import Recorder
from workers.service.metrics import EngineMetrics


async def _at_once() -> None:
    return


def _batch(side: str, number: int, size: int) -> list[Admitted]:
    judge = admission()
    found = []
    for place in range(size):
        at = number * 2 + place // (size // 2)
        text = event_json(f"{side}-{place % (size // 2)}", at)
        judged = judge.judge(raw(text, at))
        if not isinstance(judged, Admitted):
            raise SystemExit(judged.refusal.reason)
        found.append(judged._replace(entry=judged.entry._replace(entry_id=entry_id(at))))
    return found


async def _main(options: argparse.Namespace) -> None:
    (admin,) = server_variables("TEST_DATABASE_URL")
    async with fresh_database(admin, migrated=True) as dsn:
        ledger = DirectLedger(dsn)
        sides = {
            name: Recorder(
                ledger=ledger,
                parameters=PARAMETERS,
                patience=Patience(),
                meter=EngineMetrics("0"),
                rate_limit=limit,
            )
            for name, limit in (("on", RateLimit(600, "minute")), ("off", None))
        }
        took: dict[str, list[float]] = {"on": [], "off": []}
        for number in range(options.rounds):
            order = ("on", "off") if number % 2 else ("off", "on")
            for side in order:
                batch = _batch(side, number, options.batch_size)
                began = time.perf_counter()
                await sides[side].record(STREAM, batch, _at_once)
                took[side].append(time.perf_counter() - began)
        await ledger.close()
    warm = {side: times[options.rounds // 5 :] for side, times in took.items()}
    low, middle, high = statistics.quantiles(
        [on / off for on, off in zip(warm["on"], warm["off"], strict=True)]
    )
    for side, times in warm.items():
        print(f"{side:4} {options.batch_size / statistics.median(times):10,.0f} responses/s")
    medians = statistics.median(warm["on"]) / statistics.median(warm["off"])
    print(f"time with a limit / without, medians: {medians:.3f}")
    print(f"ratio of pairs, quartiles: {low:.3f} {middle:.3f} {high:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=500)
    asyncio.run(_main(parser.parse_args()))
