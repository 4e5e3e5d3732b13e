"""Cross-validate models by learner; the engine's own update predicts each answer in advance."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import get_context, parent_process
from signal import SIG_DFL, SIGINT, signal
from threading import Thread
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.estimation.learner import Response
from workers.estimation.metrics import auc, brier, ece, log_loss
from workers.estimation.predicting import predict_log
from workers.modelling.calibration.answers import Answers, answers_of
from workers.modelling.calibration.ceilings import ceilings_of
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.fitting import fit_table
from workers.modelling.judging.validity import MasteryTrace, Validity, validity

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDS: Final = 5
SEED: Final = 42

Logs = Mapping[str, Sequence[Response]]
"""Answers of each learner in the learner's order, learners in the order of first appearance."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of one model and the scores of the answers, all folds together.

    Columns of equal length, with one entry for each answer.

    Args:
        score: in [0, 1].
        probability: predicted score, in [0, 1].
        concept: first concept of the answer.
        attempt: number of the learner's attempt at that concept, from 1.
        history: number of earlier answers of the learner.
        trace: mastery after each answer, for each concept of the answer.
        concepts: all answered concepts.
        fitted: fit of each fold.
    """

    score: Floats
    probability: Floats
    concept: Sequence[str]
    attempt: NDArray[np.int64]
    history: NDArray[np.int64]
    trace: MasteryTrace
    concepts: Sequence[str]
    fitted: Sequence[Fitted]

    def measures(self) -> dict[str, float]:
        """Compute AUC, RMSE, ECE over ten bins, log loss in nats, and the number of answers."""
        return {
            "auc": auc(self.score, self.probability),
            "rmse": float(np.sqrt(brier(self.score, self.probability))),
            "ece": ece(self.score, self.probability),
            "log_loss": log_loss(self.score, self.probability),
            "responses": self.score.size,
        }

    @cached_property
    def validity(self) -> Validity:
        """Validity of the mastery of held-out learners, at the default threshold and shares."""
        return validity(self.trace)

    @cached_property
    def ceilings(self) -> dict[str, float]:
        """Ceiling of each concept, in (0, 1]: the lowest over the folds."""
        by_fold = [ceilings_of(fit.parameters, self.concepts) for fit in self.fitted]
        return {concept: min(fold[concept] for fold in by_fold) for concept in self.concepts}

    def document(self) -> dict[str, Any]:
        """Return `measures`, and validity and ceilings under `mastery`, as JSON."""
        return {
            **self.measures(),
            "mastery": {**self.validity.document(), "ceilings": self.ceilings},
        }


def fold_of(learners: int) -> NDArray[np.int64]:
    """Draw the fold of each learner, in [0, `FOLDS`), in the order of first appearance."""
    return np.random.default_rng(SEED).permutation(learners) % FOLDS


def evaluate(model: str, logs: Logs, advance: Callable[[int], None]) -> Predictions:
    """Fit a model on four folds at a time and predict the fifth fold.

    Args:
        model: name in `workers.modelling.calibration.fitting.MODELS`.
        logs: at least one learner for each fold.
        advance: called with the number of answers predicted since the last call.

    Raises:
        ValueError: if the model is unknown, there are fewer learners than folds, or several scales.
    """
    return evaluate_all([model], answers_of(logs.values()), lambda _, n: advance(n))[model]


def evaluate_all(
    models: Sequence[str],
    answers: Answers,
    advance: Callable[[str, int], None],
    processes: int = 1,
) -> dict[str, Predictions]:
    """Evaluate several models as `evaluate` does, folds and models in parallel.

    Args:
        models: names in `workers.modelling.calibration.fitting.MODELS`.
        answers: all on one scale, with at least one learner for each fold.
        advance: called with the model and the number of answers predicted since the last call.
        processes: number of parallel processes, 1 or more; predictions do not depend on it.

    Raises:
        ValueError: if a model is unknown, there are fewer learners than folds, or several scales.
    """
    if answers.learners < FOLDS:
        raise ValueError(
            f"{FOLDS} learners or more are needed to hold some out, not {answers.learners}"
        )
    if len(answers.scales) > 1:
        raise ValueError(f"answers must be on one scale, not on {', '.join(answers.scales)}")
    tasks = [(model, held_out) for model in models for held_out in range(FOLDS)]
    folds: dict[tuple[str, int], _Fold] = {}
    for task, fold in _done(tasks, answers, processes):
        folds[task] = fold
        advance(task[0], fold.score.size)
    return {model: _together([folds[model, n] for n in range(FOLDS)]) for model in models}


class _Fold(NamedTuple):
    """`Predictions` of one fold."""

    score: Floats
    probability: Floats
    concept: list[str]
    attempt: Ints
    history: Ints
    trace: MasteryTrace
    concepts: Sequence[str]
    fitted: Fitted


def _done(
    tasks: Sequence[tuple[str, int]], answers: Answers, processes: int
) -> Iterator[tuple[tuple[str, int], _Fold]]:
    """Yield each task and its fold, in the order of completion."""
    if processes == 1:
        for task in tasks:
            yield task, _fold(answers, *task)
        return
    # Spawned because a fork of a process with threads can deadlock.
    pool = ProcessPoolExecutor(min(processes, len(tasks)), get_context("spawn"), _begin, (answers,))
    try:
        running = {pool.submit(_fold_of_begun, *task): task for task in tasks}
        for future in as_completed(running):
            yield running[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


_BEGUN: list[Answers] = []
"""The answers that a process of the pool works on."""


def _begin(answers: Answers) -> None:
    # Ctrl-C ends every process, and only the command reports it.
    signal(SIGINT, SIG_DFL)
    Thread(target=_end_with_command, daemon=True).start()
    _BEGUN[:] = [answers]


def _end_with_command() -> None:
    """End this process with the command, because a fold can take minutes."""
    command = parent_process()
    if command is not None:
        command.join()
        os._exit(1)


def _fold_of_begun(model: str, held_out: int) -> _Fold:
    return _fold(_BEGUN[0], model, held_out)


def _fold(answers: Answers, model: str, held_out: int) -> _Fold:
    is_held_out = fold_of(answers.learners) == held_out
    fitted = fit_table(model, replace(answers, held_out=is_held_out).table(0))
    learners = np.flatnonzero(is_held_out)
    streamed = [predict_log(answers.log(n), fitted.parameters) for n in learners.tolist()]
    rows = _spans(answers.begin, learners)
    links = _spans(answers.link_begin, rows)
    learner = np.repeat(learners, np.diff(answers.begin)[learners])
    pair = np.repeat(learner, np.diff(answers.link_begin)[rows]) * len(answers.concepts)
    return _Fold(
        answers.score[rows],
        np.concatenate([log.expected for log in streamed]),
        [answers.concepts[at] for at in answers.concept[answers.link_begin[rows]].tolist()],
        np.concatenate([log.attempts for log in streamed]),
        rows - answers.begin[learner],
        MasteryTrace(
            pair + answers.concept[links],
            np.concatenate([log.log_odds for log in streamed]),
            np.repeat(answers.score[rows], np.diff(answers.link_begin)[rows]),
        ),
        answers.concepts,
        fitted,
    )


def _spans(begin: NDArray[np.integer], of: Ints) -> Ints:
    """Return the indices of all parts of these wholes.

    Args:
        begin: index of the first part of each whole; its last entry is the number of parts.
        of: indices of wholes, shape (n,).
    """
    counts = np.diff(begin)[of].astype(np.int64)
    first = np.cumsum(counts) - counts
    return np.repeat(begin[of] - first, counts) + np.arange(int(counts.sum()))


def _together(folds: Sequence[_Fold]) -> Predictions:
    return Predictions(
        np.concatenate([fold.score for fold in folds]),
        np.concatenate([fold.probability for fold in folds]),
        [name for fold in folds for name in fold.concept],
        np.concatenate([fold.attempt for fold in folds]),
        np.concatenate([fold.history for fold in folds]),
        MasteryTrace(*map(np.concatenate, zip(*(fold.trace for fold in folds), strict=True))),
        folds[0].concepts,
        [fold.fitted for fold in folds],
    )
