"""Measure the cost of monitoring predictions, and how soon and how seldom it reports a drift.

Run: ``uv run python -m bench.drift``. The cost is compared with the fold of the same responses,
alternately, so that the ratio holds although the machine's rate varies.
"""

import random
import statistics
import time

import numpy as np

from tests.support.factories import answer
from workers.estimation.fold import Folded, FoldTask, fold
from workers.estimation.learner import Learner, LearnerKey
from workers.estimation.parameters import Parameters
from workers.metrics.drift.detector import DriftDetector, Limits
from workers.metrics.drift.windows import Windows
from workers.metrics.engine_metrics import EngineMetrics

BATCH = 500
ROUNDS = 60
CONCEPTS = 149
RIGHT = 0.375
"""Expected first score under the default parameters, so that nothing drifts."""


def concept(draw: random.Random) -> str:
    """Some concepts are practised far more than others."""
    return f"c{int(draw.paretovariate(0.6)) % CONCEPTS}"


def tasks(round_: int) -> list[FoldTask]:
    """Make a batch with one answer of each learner."""
    draw = random.Random(round_)
    return [
        FoldTask(
            LearnerKey("t", f"s{n}"),
            Learner(),
            [answer(n, concepts=[concept(draw)], score=float(draw.random() < RIGHT))],
        )
        for n in range(BATCH)
    ]


def cost() -> None:
    metrics = EngineMetrics("0", by_concept=True)
    watching, folding = [], []
    for round_ in range(ROUNDS):
        batch = tasks(round_)
        began = time.process_time()
        folded: list[Folded] = fold(batch, Parameters())
        folding.append(time.process_time() - began)
        began = time.process_time()
        for learner in folded:
            metrics.predicted(learner.responses, learner.outcomes)
        watching.append(time.process_time() - began)
    # Every second batch or so adds what was taken: the mean tells, not the median.
    per_response = statistics.mean(watching[5:]) / BATCH
    print(f"watching  {per_response * 1e9:8,.0f} ns per response")
    print(f"the fold  {statistics.mean(folding[5:]) / BATCH * 1e9:8,.0f} ns per response")
    began = time.process_time()
    for _ in range(20):
        list(metrics.registry.collect())
    print(f"a scrape  {(time.process_time() - began) / 20 * 1e3:8.2f} ms")


def drift(
    windows: int, size: int, limits: Limits, shift: float, predicted: float | None = None
) -> str:
    """Count the windows that report a shift, the answers until then, and false reports before.

    Predictions are spread, unless all of them are one.
    """
    draw, step, sound = np.random.default_rng(1), size // 20, 40 * size
    recent, watch = Windows([size] * windows), DriftDetector([limits] * windows)
    rows, false = np.repeat(np.arange(windows), step), 0
    seen: dict[int, int] = {}
    for at in range(0, sound + 4 * size, step):
        if predicted is None:
            predictions = 1.0 / (1.0 + np.exp(-draw.normal(0.5, 1.2, rows.size)))
        else:
            predictions = np.full(rows.size, predicted)
        chance = predictions + (shift if at >= sound else 0.0)
        recent.add(rows, (draw.random(rows.size) < chance).astype(np.float64), predictions)
        for change in watch.look(recent.misfits()):
            if at < sound:
                false += change.began
            elif change.began and change.kind == "bias":
                seen.setdefault(change.window, at - sound + step)
    after = f"after {statistics.median(seen.values()):,.0f} answers" if seen else "never"
    of = "" if predicted is None else f", all predicted {predicted}"
    return (
        f"window {size:,}{of}, shift {shift:+.2f}: {false} false alarms in {windows * sound:,} "
        f"answers; {len(seen)} of {windows} told, half of them {after}"
    )


if __name__ == "__main__":
    cost()
    for by in (0.03, 0.05, 0.1):
        print(drift(50, 10_000, Limits(), by))
    for by in (0.05, 0.1, 0.2):
        print(drift(50, 2_000, Limits().of_many(50), by))
    for near_one in (0.9, 0.95, 0.97, 0.98, 0.99):
        print(drift(50, 2_000, Limits().of_many(50), -0.15, near_one))
