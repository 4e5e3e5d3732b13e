"""Replay many learners: one by one, and all at once, by the mean number of active chains.

Run: ``uv run python -m bench.replay``. `_WIDE` in ``workers/estimation/replay.py`` should be the
width at which the ratio passes 1. Width is answers / longest log. Logs have equal length (`even`)
or the lengths of a real class (`uneven`: many short, few long).
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence

from workers.estimation import replay as module
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import Parameters

PARAMETERS = Parameters()
WIDTHS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 128, 500)
LENGTH = 90
ROUNDS = 15

Logs = list[list[Response]]


def log(learner: int, length: int, draw: random.Random) -> list[Response]:
    return [
        Response(
            f"{learner:08x}-0000-4000-8000-{number:012x}",
            f"s{number // 20}",
            f"i{draw.randrange(500)}",
            (f"c{draw.randrange(12)}",),
            "default",
            float(draw.random() < 0.65),
            number,
        )
        for number in range(length)
    ]


def even(width: int, draw: random.Random) -> Logs:
    return [log(learner, LENGTH, draw) for learner in range(width)]


def uneven(width: int, draw: random.Random) -> Logs:
    logs = [log(0, 6 * LENGTH, draw)]
    answers = width * 6 * LENGTH - len(logs[0])
    while answers > 0:
        length = min(answers, 6 * LENGTH, max(1, int(draw.expovariate(1 / LENGTH))))
        logs.append(log(len(logs), length, draw))
        answers -= length
    return logs


def one_by_one(logs: Sequence[Sequence[Response]]) -> list[Learner]:
    return [module.replay(log, PARAMETERS) for log in logs]


def all_at_once(logs: Sequence[Sequence[Response]]) -> list[Learner]:
    return module._replay_wide(logs, PARAMETERS)  # noqa: SLF001  # the side replay_many may not choose


def seconds(run: Callable[[Logs], list[Learner]], logs: Logs) -> float:
    start = time.process_time()
    run(logs)
    return time.process_time() - start


def main() -> None:
    print(f"_WIDE is {module._WIDE}; median of {ROUNDS} alternating rounds")  # noqa: SLF001  # it is judged here
    print(
        f"{'logs':8} {'width':>6} {'learners':>9} {'one by one/s':>13} {'at once/s':>11} "
        f"{'ratio':>7}"
    )
    for name, make in (("even", even), ("uneven", uneven)):
        for width in WIDTHS if name == "even" else WIDTHS[:-2]:
            logs = make(width, random.Random(width))
            if one_by_one(logs) != all_at_once(logs):
                raise SystemExit("the two replays disagree")
            pairs = [(seconds(one_by_one, logs), seconds(all_at_once, logs)) for _ in range(ROUNDS)]
            alone, together = (statistics.median(side) for side in zip(*pairs, strict=True))
            answers = sum(map(len, logs))
            ratio = statistics.median(a / t for a, t in pairs)
            print(
                f"{name:8} {width:6} {len(logs):9} {answers / alone:13,.0f} "
                f"{answers / together:11,.0f} {ratio:7.2f}"
            )


if __name__ == "__main__":
    main()
