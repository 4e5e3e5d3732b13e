"""Fold a batch without blocking the event loop for long."""

import asyncio
from collections.abc import Sequence
from typing import Final

from workers.estimation.fold import Folded, FoldTask, fold
from workers.estimation.late_replay import LateReplay
from workers.estimation.learner import Response
from workers.estimation.parameters import Parameters

_REPLAYED_AT_ONCE: Final = 500
"""Answers replayed in one go: some 10 ms."""


async def fold_in_turns(tasks: Sequence[FoldTask], parameters: Parameters) -> list[Folded]:
    """Fold as `fold` does, to the last bit, and let other tasks run in between.

    After an activation every learner of a batch is replayed, which takes seconds.

    Args:
        tasks: see `fold`. Their logs are replayed in place.
        parameters: see `fold`.

    Raises:
        ValueError: see `fold`.
    """
    for task in tasks:
        if task.log is not None and task.replayed is None and task.late(parameters):
            task.replayed = task.begin_replay(parameters)
            await replay_in_turns(task.replayed, task.log)
    return fold(tasks, parameters)


async def replay_in_turns(replay: LateReplay, answers: Sequence[Response]) -> None:
    """Advance a replay, and let other tasks run in between.

    Args:
        replay: the replay to advance.
        answers: the next stored answers, in the learner's order.
    """
    for start in range(0, len(answers), _REPLAYED_AT_ONCE):
        replay.advance(answers[start : start + _REPLAYED_AT_ONCE])
        await asyncio.sleep(0)
