"""Held-out learners: no fit sees them, and versions are compared on them."""

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
    """Return True if no fit may see a learner.

    The decision depends on the key only. No version was ever fitted to a held-out learner, so
    comparing versions on them is fair.
    """
    text = f"{len(key.tenant_id)}:{key.tenant_id}{key.student_id}".encode()
    digest = hashlib.blake2b(text, digest_size=8, person=b"held-out").digest()
    return int.from_bytes(digest, "big") / _SPAN < HELD_OUT


def chunks(answers: Answers, most: int) -> Iterator[tuple[int, int]]:
    """Cut learners into spans with a limited number of held-out answers.

    Args:
        answers: all answers.
        most: largest number of held-out answers of a span, unless one learner alone has more.

    Yields:
        First learner of a span, and the one after its last. A span without held-out learners is
        skipped.
    """
    counts = np.where(answers.held_out, np.diff(answers.begin), 0)
    begin, size = 0, 0
    for learner, count in enumerate(counts.tolist()):
        if size and size + count > most:
            yield begin, learner
            begin, size = learner, 0
        size += count
    if size:
        yield begin, counts.size
