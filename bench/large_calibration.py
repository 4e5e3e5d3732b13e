"""Measure time and memory of a calibration on many simulated answers.

    uv run python -m bench.large_calibration --answers 1000000

A ledger in this process simulates learners page by page from the seed, so nothing is stored and the
log costs nothing to read; all else is `mastery calibrate --dry-run`. Learners practise 200 concepts
of 40 items in spells of 8 answers on average, 120 answers each on average (lognormal). Memory is
the sum of the resident sets of all processes, which counts shared pages once per process.
"""

import argparse
import asyncio
import threading
import time
from typing import Final

import numpy as np
import psutil  # type: ignore[import-untyped]  # has no types of its own
from typing_extensions import override

from workers.common.retrying import NoRetry
from workers.estimation.learner import LearnerKey
from workers.ledger.calibration import LEARNERS, RESPONSES, LoggedAnswer, LogPage
from workers.ledger.memory.ledger import MemoryLedger
from workers.modelling.calibration.fitting import COMBINED, MODELS
from workers.modelling.calibration.table import Ints
from workers.modelling.calibration_run.calibrator import Calibrator
from workers.modelling.calibration_run.processes import ProcessPool, available_cores, run_in_process
from workers.modelling.calibration_run.request import Request

MEAN, SPELL = 120, 8
CONCEPTS, ITEMS = 200, 40
BLOCK: Final = 50
"""Learners that are simulated together."""
SAMPLE_S = 0.2
_START_US = 1_750_000_000_000_000


class SimulatedLedger(MemoryLedger):
    """A ledger whose log is simulated page by page.

    Args:
        answers: number of answers, on average.
        seed: seed of the simulation.
    """

    def __init__(self, answers: int, seed: int) -> None:
        super().__init__()
        self._learners = max(BLOCK, answers // MEAN // BLOCK * BLOCK)
        self._seed = seed
        self._difficulty = np.random.default_rng(seed).normal(0.0, 1.0, (CONCEPTS, ITEMS))

    @override
    async def count(self) -> int:
        return self._learners

    @override
    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        begin = 0 if after is None else int(after.student_id) + 1
        return [_key(n) for n in range(begin, min(begin + limit, self._learners))]

    @override
    async def logs(
        self,
        after: LearnerKey | None = None,
        until_us: int | None = None,
        *,
        learners: int = LEARNERS,
        responses: int = RESPONSES,
    ) -> LogPage:
        begin = 0 if after is None else int(after.student_id) + 1
        keys = [_key(n) for n in range(begin, min(begin + BLOCK, self._learners))]
        return LogPage(keys, self._answers(begin, len(keys)))

    def _answers(self, begin: int, learners: int) -> list[LoggedAnswer]:
        draw = np.random.default_rng((self._seed, begin))
        spread = 1.0
        length = np.ceil(draw.lognormal(np.log(MEAN) - spread**2 / 2, spread, learners)).astype(int)
        learner = np.repeat(np.arange(learners), length)
        starts = draw.random(learner.size) < 1.0 / SPELL
        starts[np.cumsum(length) - length] = True
        spell = np.cumsum(starts) - 1
        concept = (CONCEPTS * draw.random(starts.sum()) ** 1.7).astype(int)[spell]
        item = draw.integers(0, ITEMS, learner.size)
        before = _attempts(learner * CONCEPTS + concept)
        known = draw.random(learner.size) < 1.0 - 0.6 * 0.9**before
        theta = draw.normal(0.0, 1.0, learners)[learner]
        logit = theta - self._difficulty[concept, item] + np.where(known, 1.0, -0.8)
        right = draw.random(learner.size) < 1.0 / (1.0 + np.exp(-logit))
        return [
            LoggedAnswer(
                of, f"q-{c}-{i}", (f"c-{c}",), "default", float(score), _START_US + 30_000_000 * n
            )
            for n, (of, c, i, score) in enumerate(
                zip(learner.tolist(), concept.tolist(), item.tolist(), right.tolist(), strict=True)
            )
        ]


def _key(number: int) -> LearnerKey:
    return LearnerKey("school", f"{number:09d}")


def _attempts(pair: Ints) -> Ints:
    """Count the earlier entries of the same pair."""
    order = np.argsort(pair, kind="stable")
    ordered = pair[order]
    attempts = np.empty_like(pair)
    attempts[order] = np.arange(pair.size) - np.searchsorted(ordered, ordered)
    return attempts


class Peak(threading.Thread):
    """Samples the memory of this process and its children until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes, self.by_process = 0, [0]
        self.stopped = threading.Event()

    @override
    def run(self) -> None:
        here = psutil.Process()
        while not self.stopped.wait(SAMPLE_S):
            sizes = []
            for process in (here, *here.children(recursive=True)):
                try:
                    sizes.append(process.memory_info().rss)
                except psutil.Error:
                    continue  # it has ended in between
            if sum(sizes) > self.bytes:
                self.bytes, self.by_process = sum(sizes), sizes


async def main(options: argparse.Namespace) -> None:
    ledger = SimulatedLedger(options.answers, options.seed)
    pool = ProcessPool(options.processes, run_in_process)
    calibrator = Calibrator(ledger=ledger, retrying=NoRetry(), pool=pool)
    began = time.perf_counter()

    async def told(step: int, total: int) -> None:
        print(f"{time.perf_counter() - began:8.0f} s  {step}/{total}", flush=True)

    peak = Peak()
    peak.start()
    result = await calibrator.calibrate(Request(options.model, dry_run=True), told)
    peak.stopped.set()
    seconds = time.perf_counter() - began
    million = result.responses / 1e6
    sizes = ", ".join(f"{size / 2**20:.0f}" for size in peak.by_process)
    print(f"{result.responses:,} answers of {result.learners:,} learners, seed {options.seed}")
    print(f"{seconds:.0f} s, {seconds / million:.0f} s for each million answers")
    print(f"peak of all processes together: {peak.bytes / 2**20:.0f} MiB ({sizes})")
    print(f"AUC {result.comparison.new['auc']:.4f}, {result.decision.sentence}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", choices=list(MODELS), default=COMBINED)
    parser.add_argument("--processes", type=int, default=available_cores())
    asyncio.run(main(parser.parse_args()))
