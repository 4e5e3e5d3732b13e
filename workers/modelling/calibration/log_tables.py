"""Build a table from whole logs."""

from collections.abc import Iterable, Sequence

import numpy as np

from workers.estimation.learner import Response
from workers.modelling.calibration.table import NEVER, Table


def table_of(logs: Iterable[Sequence[Response]]) -> tuple[Table, list[int]]:
    """Build the table of whole logs, one per learner in the learner's order.

    Returns:
        The table, and the place of the log of each of its learners.
    """
    kept = list(logs)
    order = sorted(range(len(kept)), key=lambda n: -len(kept[n]))
    items: dict[str, int] = {}
    concepts: dict[str, int] = {}
    learner: list[int] = []
    item: list[int] = []
    score: list[float] = []
    link: list[int] = []
    concept: list[int] = []
    answered_at_us: list[int] = []
    previous_at_us: list[int] = []
    step = [0]
    running = sum(map(bool, kept))
    k = 0
    while running:
        while running and len(kept[order[running - 1]]) <= k:
            running -= 1
        if not running:
            break
        for n in range(running):
            response = kept[order[n]][k]
            for name in response.concept_ids:
                link.append(len(learner))
                concept.append(concepts.setdefault(name, len(concepts)))
            learner.append(n)
            item.append(items.setdefault(response.item_id, len(items)))
            score.append(response.score)
            answered_at_us.append(response.answered_at_us)
            previous_at_us.append(kept[order[n]][k - 1].answered_at_us if k else NEVER)
        step.append(len(learner))
        k += 1
    return (
        Table(
            list(items),
            list(concepts),
            np.array(learner, dtype=np.int64),
            np.array(item, dtype=np.int64),
            np.array(score, dtype=np.float64),
            np.array(step, dtype=np.int64),
            np.array(link, dtype=np.int64),
            np.array(concept, dtype=np.int64),
            np.array(answered_at_us, dtype=np.int64),
            np.array(previous_at_us, dtype=np.int64),
        ),
        [n for n in order if kept[n]],
    )
