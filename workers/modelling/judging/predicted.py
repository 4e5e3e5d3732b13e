"""Predict held-out learners under new and present parameters."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from workers.estimation.parameters import Parameters
from workers.estimation.predicting import predict_log
from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.table import Floats, Ints

_EDGE: Final = 2.0**-53
"""Least distance of a prediction from 0 and 1 when it is judged."""


class Predicted(NamedTuple):
    """Predictions and mastery of the held-out learners by two versions.

    Columns of shape (n,) have one entry per answer, columns of shape (m,) one entry per answer and
    concept of it, in the order of the answers.
    """

    learner: Ints
    """Number of the learner, shape (n,)."""
    item: Ints
    """Number of the item, shape (n,)."""
    score: Floats
    """Score of the answer in [0, 1], shape (n,)."""
    new: Floats
    """Expected score before the answer by the new parameters, in (0, 1), shape (n,)."""
    present: Floats
    """The same by the present parameters, shape (n,)."""
    linked_answer: Ints
    """Place of the answer among the columns above, shape (m,)."""
    linked_concept: Ints
    """Number of the concept, shape (m,)."""
    new_mastery: Floats
    """Log-odds of mastery after the answer by the new parameters, shape (m,)."""
    present_mastery: Floats
    """The same by the present parameters, shape (m,)."""


def predict_held_out(
    answers: Answers, span: tuple[int, int], new: Parameters, present: Parameters
) -> Predicted:
    """Predict the held-out learners of a span under both versions.

    Args:
        answers: all answers.
        span: the first learner, and the one after the last.
        new: the fitted parameters.
        present: the parameters to compare with.
    """
    parts = [
        _of_learner(answers, number, new, present)
        for number in range(*span)
        if answers.held_out[number]
    ]
    return together(parts)


def together(parts: Sequence[Predicted]) -> Predicted:
    """Join at least one part."""
    joined = Predicted(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    before = np.cumsum([0, *(part.item.size for part in parts[:-1])])
    shift = np.repeat(before, [part.linked_answer.size for part in parts])
    return joined._replace(linked_answer=joined.linked_answer + shift)


def log_losses(score: Floats, expected: Floats) -> Floats:
    """Return the log loss of each answer in nats, shape (n,).

    Args:
        score: in [0, 1], shape (n,).
        expected: in (0, 1), shape (n,).
    """
    losses: Floats = -score * np.log(expected) - (1.0 - score) * np.log1p(-expected)
    return losses


def _of_learner(answers: Answers, number: int, new: Parameters, present: Parameters) -> Predicted:
    log = answers.log(number)
    row = np.arange(int(answers.begin[number]), int(answers.begin[number + 1]))
    links = slice(int(answers.link_begin[row[0]]), int(answers.link_begin[row[-1] + 1]))
    by_new, by_present = predict_log(log, new), predict_log(log, present)
    return Predicted(
        np.full(row.size, number, dtype=np.int64),
        answers.item[row].astype(np.int64),
        np.array([response.score for response in log], dtype=np.float64),
        _judged(by_new.expected),
        _judged(by_present.expected),
        np.repeat(np.arange(row.size), np.diff(answers.link_begin[row[0] : row[-1] + 2])),
        answers.concept[links].astype(np.int64),
        by_new.log_odds,
        by_present.log_odds,
    )


def _judged(predictions: Floats) -> Floats:
    return np.clip(predictions, _EDGE, 1.0 - _EDGE)
