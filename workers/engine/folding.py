"""Fold a batch without blocking the event loop for long."""

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Final

from workers.estimation.fold import Folded, FoldTask, fold
from workers.estimation.late_replay import LateReplay
from workers.estimation.learner import Response
from workers.estimation.parameters import Parameters

_REPLAYED_AT_ONCE: Final = 100
"""Answers replayed in one go: 2 to 10 ms, with calibrated parameters."""


async def fold_by_version(
    tasks: Sequence[FoldTask], parameters: Sequence[Parameters]
) -> list[Folded]:
    """Fold as `fold_in_turns` does, each task under its own parameters.

    Args:
        tasks: see `fold`.
        parameters: those of each task; equal versions are equal parameters.
    """
    numbers: dict[int, list[int]] = {}
    for number, own in enumerate(parameters):
        numbers.setdefault(own.version, []).append(number)
    folded: dict[int, Folded] = {}
    for some in numbers.values():
        results = await fold_in_turns([tasks[number] for number in some], parameters[some[0]])
        folded |= zip(some, results, strict=True)
    return [folded[number] for number in range(len(tasks))]


async def fold_in_turns(tasks: Sequence[FoldTask], parameters: Parameters) -> list[Folded]:
    """Fold as `fold` does, to the last bit, and let other tasks run in between.

    Late answers of a batch make some thousand stored answers be replayed, which takes seconds.

    Args:
        tasks: see `fold`.
        parameters: see `fold`.

    Raises:
        ValueError: see `fold`.
    """
    ready, replayed = [], 0
    for task in tasks:
        if task.log is not None and task.replayed is None and task.late(parameters):
            replay = task.begin_replay(parameters)
            replayed = await replay_in_turns(replay, task.log, replayed)
            ready.append(dataclasses.replace(task, replayed=replay))
        else:
            ready.append(task)
    return fold(ready, parameters)


async def replay_in_turns(
    replay: LateReplay, answers: Sequence[Response], replayed: int = 0
) -> int:
    """Advance a replay, and let other tasks run in between.

    Args:
        replay: the replay to advance.
        answers: the next stored answers, in any order.
        replayed: answers replayed since other tasks ran.

    Returns:
        The answers replayed since other tasks ran.
    """
    left = sorted(answers, key=lambda answer: answer.position)
    while left:
        part = left[: _REPLAYED_AT_ONCE - replayed]
        left = left[len(part) :]
        replay.advance(part)
        replayed += len(part)
        if replayed >= _REPLAYED_AT_ONCE:
            replayed = 0
            await asyncio.sleep(0)
    return replayed
