"""Learners whom no fit sees: new parameters are judged by how they predict them."""

import hashlib
from collections.abc import Iterator
from typing import Final

import numpy as np

from workers.estimation.learner import LearnerKey
from workers.modelling.calibration.answers import Answers

HELD_OUT: Final = 0.2
"""Share of learners that no fit ever sees."""

_SPAN: Final = 2.0**64


def is_held_out(key: LearnerKey) -> bool:
    """Whether a learner is one of those that no fit sees; always the same ones, by their keys.

    So no version was ever fitted on them, and comparing versions on them is fair.
    """
    text = f"{len(key.tenant_id)}:{key.tenant_id}{key.student_id}".encode()
    digest = hashlib.blake2b(text, digest_size=8, person=b"held-out").digest()
    return int.from_bytes(digest, "big") / _SPAN < HELD_OUT


def chunks(answers: Answers, most: int) -> Iterator[tuple[int, int]]:
    """Spans of learners with at most so many answers of held-out ones, or one learner.

    Args:
        answers: all.
        most: answers.

    Yields:
        The first learner of a span, and the one after its last; spans of no held-out one's are
        left out.
    """
    counts = np.where(answers.held_out, np.diff(answers.begin), 0)
    begin, held = 0, 0
    for learner, count in enumerate(counts.tolist()):
        if held and held + count > most:
            yield begin, learner
            begin, held = learner, 0
        held += count
    if held:
        yield begin, counts.size
