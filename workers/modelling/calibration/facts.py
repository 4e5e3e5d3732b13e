"""Figures about all answers, which is all that a calibration outside its steps needs of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from workers.modelling.calibration.answer_tables import learner_pages
from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.held_out import chunks
from workers.modelling.calibration.paging import release

_ANSWERS_OF_A_SPAN = 20_000


@dataclass(frozen=True)
class Facts:
    """Figures about all answers.

    Args:
        items, concepts, scales: ids in the order of their numbers.
        learners: number of learners.
        responses: number of answers.
        answers_to_fit: number of answers of each scale that a fit may see.
        learners_to_fit: number of their learners, by scale.
        held_out: number of held-out learners with an answer.
        spans: first learner, and the one after the last, of each span of held-out learners.
        digest: digest of all answers.
    """

    items: Sequence[str]
    concepts: Sequence[str]
    scales: Sequence[str]
    learners: int
    responses: int
    answers_to_fit: Sequence[int]
    learners_to_fit: Sequence[int]
    held_out: int
    spans: Sequence[tuple[int, int]]
    digest: str

    def document(self) -> dict[str, Any]:
        """Write as JSON."""
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Facts":
        """Read the result of `document`."""
        spans = [(begin, end) for begin, end in document["spans"]]
        return cls(**{**document, "spans": spans})


def facts_of(answers: Answers) -> Facts:
    """Collect the figures, page by page."""
    scales = len(answers.scales)
    answers_to_fit = np.zeros(scales, dtype=np.int64)
    learners_to_fit = np.zeros(scales, dtype=np.int64)
    for page in learner_pages(answers.begin, answers.held_out):
        scale = answers.scale[page.row].astype(np.int64)
        answers_to_fit += np.bincount(scale, minlength=scales)
        distinct = np.unique(page.learner * max(scales, 1) + scale)
        learners_to_fit += np.bincount(distinct % max(scales, 1), minlength=scales)
        release(answers.scale)
    return Facts(
        answers.items,
        answers.concepts,
        answers.scales,
        answers.learners,
        answers.score.size,
        answers_to_fit.tolist(),
        learners_to_fit.tolist(),
        int(np.count_nonzero(answers.held_out & (np.diff(answers.begin) > 0))),
        list(chunks(answers, _ANSWERS_OF_A_SPAN)),
        answers.digest(),
    )
