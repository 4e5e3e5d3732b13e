"""Cross-validation by learner: the engine predicts each answer one step ahead."""

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
"""Logs by learner, in the order of first appearance; each log is in the learner's order."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of a model over all folds, with the scores.

    Args:
        score: score of each answer, in [0, 1].
        probability: predicted score of each answer, in [0, 1].
        concept: first concept of each answer.
        attempt: number of each answer among the learner's answers on that concept, from 1.
        history: number of the learner's earlier answers.
        trace: mastery after each answer, for each of its concepts.
        concepts: all answered concepts.
        fitted: result of each fold's fit.
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
        """Validity of held-out learners' mastery, at the usual threshold and shares."""
        return validity(self.trace)

    @cached_property
    def ceilings(self) -> dict[str, float]:
        """Largest mastery that each concept allows, in (0, 1]: the lowest over the folds."""
        by_fold = [ceilings_of(fold.parameters, self.concepts) for fold in self.fitted]
        return {concept: min(fold[concept] for fold in by_fold) for concept in self.concepts}

    def document(self) -> dict[str, Any]:
        """Write all measures as JSON: `measures`, and those of mastery under `mastery`."""
        return {
            **self.measures(),
            "mastery": {**self.validity.document(), "ceilings": self.ceilings},
        }


def fold_of(learners: int) -> NDArray[np.int64]:
    """Draw the fold of each learner, by number of first appearance."""
    return np.random.default_rng(SEED).permutation(learners) % FOLDS


def evaluate(model: str, logs: Logs, advance: Callable[[int], None]) -> Predictions:
    """Fit a model to four folds at a time and predict the fifth.

    Args:
        model: one of `workers.modelling.calibration.fitting.MODELS`.
        logs: at least one learner per fold.
        advance: called with the number of newly predicted answers.

    Raises:
        ValueError: the model is unknown, there are too few learners, or several scales.
    """
    return evaluate_all([model], answers_of(logs.values()), lambda _, n: advance(n))[model]


def evaluate_all(
    models: Sequence[str],
    answers: Answers,
    advance: Callable[[str, int], None],
    processes: int = 1,
) -> dict[str, Predictions]:
    """Evaluate several models, folds and models side by side.

    Args:
        models: names of `workers.modelling.calibration.fitting.MODELS`.
        answers: all answers, on one scale, at least one learner per fold.
        advance: called with a model and the number of its newly predicted answers.
        processes: number of processes, 1 or more; predictions do not depend on it.

    Raises:
        ValueError: a model is unknown, there are too few learners, or several scales.
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
    """Predictions of one fold, see `Predictions`."""

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
    """Yield each task with its result, in the order of completion."""
    if processes == 1:
        for task in tasks:
            yield task, _fold(answers, *task)
        return
    # Spawn, since a fork of a process with threads may deadlock.
    pool = ProcessPoolExecutor(min(processes, len(tasks)), get_context("spawn"), _begin, (answers,))
    try:
        running = {pool.submit(_fold_of_begun, *task): task for task in tasks}
        for future in as_completed(running):
            yield running[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


_BEGUN: list[Answers] = []
"""Answers of this process of the pool."""


def _begin(answers: Answers) -> None:
    # Ctrl-C ends all processes, and only the command reports it.
    signal(SIGINT, SIG_DFL)
    Thread(target=_end_with_command, daemon=True).start()
    _BEGUN[:] = [answers]


def _end_with_command() -> None:
    """End this process with the command, since a fold may take minutes."""
    command = parent_process()
    if command is not None:
        command.join()
        os._exit(1)


def _fold_of_begun(model: str, held_out: int) -> _Fold:
    return _fold(_BEGUN[0], model, held_out)


def _fold(answers: Answers, model: str, held_out: int) -> _Fold:
    held = fold_of(answers.learners) == held_out
    fitted = fit_table(model, replace(answers, held_out=held).table(0))
    learners = np.flatnonzero(held)
    predicted = [predict_log(answers.log(n), fitted.parameters) for n in learners.tolist()]
    rows = _spans(answers.begin, learners)
    links = _spans(answers.link_begin, rows)
    learner = np.repeat(learners, np.diff(answers.begin)[learners])
    pair = np.repeat(learner, np.diff(answers.link_begin)[rows]) * len(answers.concepts)
    return _Fold(
        answers.score[rows],
        np.concatenate([log.expected for log in predicted]),
        [answers.concepts[at] for at in answers.concept[answers.link_begin[rows]].tolist()],
        np.concatenate([log.attempts for log in predicted]),
        rows - answers.begin[learner],
        MasteryTrace(
            pair + answers.concept[links],
            np.concatenate([log.log_odds for log in predicted]),
            np.repeat(answers.score[rows], np.diff(answers.link_begin)[rows]),
        ),
        answers.concepts,
        fitted,
    )


def _spans(begin: NDArray[np.integer], of: Ints) -> Ints:
    """List the places of the parts of some wholes.

    Args:
        begin: begin of each whole's parts, and the number of parts; shape (wholes + 1,).
        of: the wholes, shape (n,).
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
