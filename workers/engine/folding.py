"""Fold a batch without blocking the event loop for long."""

import asyncio
from collections.abc import Sequence
from typing import Final

from workers.estimation.fold import Folded, FoldTask, fold
from workers.estimation.parameters import Parameters

_REPLAYED_AT_ONCE: Final = 2_000
"""Answers replayed in one go, besides the rest of the last learner's: some 0.2 s."""


async def fold_in_turns(tasks: Sequence[FoldTask], parameters: Parameters) -> list[Folded]:
    """Fold as `fold` does, to the last bit, and let other tasks run in between.

    After an activation every learner of a batch is replayed, which takes seconds.

    Args:
        tasks: see `fold`.
        parameters: see `fold`.

    Raises:
        ValueError: see `fold`.
    """
    folded: list[Folded] = []
    portion: list[FoldTask] = []
    replayed = 0
    for task in tasks:
        if replayed >= _REPLAYED_AT_ONCE:
            folded += fold(portion, parameters)
            portion, replayed = [], 0
            await asyncio.sleep(0)
        portion.append(task)
        replayed += len(task.log or ())
    return folded + fold(portion, parameters)
