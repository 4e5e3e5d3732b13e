"""Cross-validation by learner: every answer is predicted one step ahead by the engine itself."""

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
"""Of each learner, in the order of their first appearance, all answers in the learner's order."""


@dataclass(frozen=True)
class Predictions:
    """What a model predicted, and what then happened; all folds together.

    Args:
        score: of each answer, in [0, 1].
        probability: its expected score before it, in [0, 1].
        concept: the concept that it names first.
        attempt: its number among the learner's answers on that concept, from 1.
        history: how many answers of the learner came before it.
        trace: mastery after each answer, of each concept of it.
        concepts: all concepts that are answered.
        fitted: what each fold's fit found.
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
        """AUC, RMSE, ECE over ten bins, log loss in nats, and the number of answers."""
        return {
            "auc": auc(self.score, self.probability),
            "rmse": float(np.sqrt(brier(self.score, self.probability))),
            "ece": ece(self.score, self.probability),
            "log_loss": log_loss(self.score, self.probability),
            "responses": self.score.size,
        }

    @cached_property
    def validity(self) -> Validity:
        """Measures of the mastery of held-out learners, at the usual threshold and shares."""
        return validity(self.trace)

    @cached_property
    def ceilings(self) -> dict[str, float]:
        """The largest mastery that each concept allows, in (0, 1]: the lowest over the folds."""
        found = [ceilings_of(one.parameters, self.concepts) for one in self.fitted]
        return {concept: min(one[concept] for one in found) for concept in self.concepts}

    def document(self) -> dict[str, Any]:
        """All measures as JSON: `measures`, and those of mastery under `mastery`."""
        return {
            **self.measures(),
            "mastery": {**self.validity.document(), "ceilings": self.ceilings},
        }


def fold_of(learners: int) -> NDArray[np.int64]:
    """The fold of each learner, by number of first appearance."""
    return np.random.default_rng(SEED).permutation(learners) % FOLDS


def evaluate(model: str, logs: Logs, advance: Callable[[int], None]) -> Predictions:
    """Fit a model on four folds at a time and predict the fifth.

    Args:
        model: one of `workers.modelling.calibration.fitting.MODELS`.
        logs: at least one learner for each fold.
        advance: told how many answers were predicted since.

    Raises:
        ValueError: if the model is none, learners are too few, or scales are several.
    """
    return evaluate_all([model], answers_of(logs.values()), lambda _, n: advance(n))[model]


def evaluate_all(
    models: Sequence[str],
    answers: Answers,
    advance: Callable[[str, int], None],
    processes: int = 1,
) -> dict[str, Predictions]:
    """`evaluate` of several models, folds and models side by side.

    Args:
        models: each of `workers.modelling.calibration.fitting.MODELS`.
        answers: all, on one scale, at least one learner for each fold.
        advance: told of which model how many answers were predicted since.
        processes: how many work at a time, 1 or more; what is predicted does not depend on it.

    Raises:
        ValueError: if a model is none, learners are too few, or scales are several.
    """
    if answers.learners < FOLDS:
        raise ValueError(
            f"{FOLDS} learners or more are needed to hold some out, not {answers.learners}"
        )
    if len(answers.scales) > 1:
        raise ValueError(f"answers must be on one scale, not on {', '.join(answers.scales)}")
    tasks = [(model, held_out) for model in models for held_out in range(FOLDS)]
    found: dict[tuple[str, int], _Fold] = {}
    for task, fold in _done(tasks, answers, processes):
        found[task] = fold
        advance(task[0], fold.score.size)
    return {model: _together([found[model, n] for n in range(FOLDS)]) for model in models}


class _Fold(NamedTuple):
    """As `Predictions`, of one fold."""

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
    """Each task and what it found, in the order in which they are done."""
    if processes == 1:
        for task in tasks:
            yield task, _fold(answers, *task)
        return
    # Spawned, not forked: a fork of a process with threads may stand still.
    pool = ProcessPoolExecutor(min(processes, len(tasks)), get_context("spawn"), _begin, (answers,))
    try:
        running = {pool.submit(_fold_of_begun, *task): task for task in tasks}
        for future in as_completed(running):
            yield running[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


_BEGUN: list[Answers] = []
"""Of a process of the pool, what it works on."""


def _begin(answers: Answers) -> None:
    # Who stops the command stops all of them, and is told once.
    signal(SIGINT, SIG_DFL)
    Thread(target=_end_with_command, daemon=True).start()
    _BEGUN[:] = [answers]


def _end_with_command() -> None:
    """A fold may take minutes that nobody waits for any more, if the command was killed."""
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
    streamed = [predict_log(answers.log(n), fitted.parameters) for n in learners.tolist()]
    rows = _spans(answers.begin, learners)
    links = _spans(answers.link_begin, rows)
    learner = np.repeat(learners, np.diff(answers.begin)[learners])
    pair = np.repeat(learner, np.diff(answers.link_begin)[rows]) * len(answers.concepts)
    return _Fold(
        answers.score[rows],
        np.concatenate([one.expected for one in streamed]),
        [answers.concepts[at] for at in answers.concept[answers.link_begin[rows]].tolist()],
        np.concatenate([one.attempts for one in streamed]),
        rows - answers.begin[learner],
        MasteryTrace(
            pair + answers.concept[links],
            np.concatenate([one.log_odds for one in streamed]),
            np.repeat(answers.score[rows], np.diff(answers.link_begin)[rows]),
        ),
        answers.concepts,
        fitted,
    )


def _spans(begin: NDArray[np.integer], of: Ints) -> Ints:
    """Find the places of the parts of these wholes.

    Args:
        begin: where the parts of each whole begin, one more entry than there are wholes.
        of: the wholes, shape (n,).
    """
    counts = np.diff(begin)[of].astype(np.int64)
    first = np.cumsum(counts) - counts
    return np.repeat(begin[of] - first, counts) + np.arange(int(counts.sum()))


def _together(folds: Sequence[_Fold]) -> Predictions:
    return Predictions(
        np.concatenate([one.score for one in folds]),
        np.concatenate([one.probability for one in folds]),
        [name for one in folds for name in one.concept],
        np.concatenate([one.attempt for one in folds]),
        np.concatenate([one.history for one in folds]),
        MasteryTrace(*map(np.concatenate, zip(*(one.trace for one in folds), strict=True))),
        folds[0].concepts,
        [one.fitted for one in folds],
    )
