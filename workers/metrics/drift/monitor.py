"""Monitor a worker's predictions: overall, by concept, by length of history."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from workers.estimation.learner import Outcome, Response
from workers.metrics.drift.detector import KINDS, DriftDetector, Limits, Misfit
from workers.metrics.drift.frequent import FrequentNames
from workers.metrics.drift.histories import LABELS, group_of
from workers.metrics.drift.windows import CurveBin, Measures, Windows

CONCEPTS: Final = 50
"""Number of concepts with a window of their own: the most answered ones."""
SIZE: Final = 10_000
"""Approximate number of answers in the windows of all answers, of a length of history, and of other
concepts."""
SIZE_OF_CONCEPT: Final = 2_000
"""Approximate number of answers in the window of a concept."""
OTHERS: Final = "other"
"""Label of the concepts without a window; a concept with this id is among them."""

_BUFFERED: Final = 4_096
"""Number of answers that are collected and added at once, which is much cheaper."""
_ALL: Final = 0
_HISTORIES: Final = 1
_OTHERS: Final = _HISTORIES + len(LABELS)
_CONCEPTS: Final = _OTHERS + 1


class Drift(NamedTuple):
    """Predictions stopped fitting, or fit again."""

    concept_id: str | None
    """The concept; None: all concepts together."""
    kind: str
    """One of `workers.metrics.drift.detector.KINDS`."""
    began: bool
    misfit: Misfit
    answers: float
    """Sum of the weights in the window."""
    parameters_version: int


class Figures(NamedTuple):
    """Measures of the predictions under the present parameters."""

    parameters_version: int
    """Version of the parameters; 0: nothing was predicted yet."""
    whole: Measures
    histories: dict[str, Measures]
    concepts: dict[str, Measures]
    """Measures of the concepts with a window, and of `OTHERS` together."""
    misfits: dict[str, Misfit]
    """Misfit of all concepts together, by kind."""
    drifts: dict[str, bool]
    """True if the predictions of all concepts together do not fit, by kind."""
    drifting: dict[str, int]
    """Number of concepts whose predictions do not fit, by kind."""


class PredictionMonitor:
    """Compares each prediction with its score, in bounded work and memory.

    Its windows start again when the version of the parameters changes.

    Args:
        on_drift: called with each drift that begins or ends.
        limits: limits of all answers together; those of concepts are corrected for their number.
    """

    def __init__(
        self, on_drift: Callable[[Drift], None] = lambda _: None, limits: Limits | None = None
    ) -> None:
        self._on_drift = on_drift
        self._limits = limits or Limits()
        self._version = 0
        self._buffer: list[tuple[Response, Outcome]] = []
        self._begin()

    def _begin(self) -> None:
        others = [SIZE] * (_CONCEPTS - _HISTORIES)
        self._windows = Windows([SIZE, *others, *[SIZE_OF_CONCEPT] * CONCEPTS])
        self._popular = FrequentNames(CONCEPTS)
        never = Limits(alarm=np.inf)
        self._drift = DriftDetector(
            [
                self._limits,
                *[never] * len(others),
                *[self._limits.of_many(CONCEPTS)] * CONCEPTS,
            ]
        )

    def observe(self, responses: Sequence[Response], outcomes: Sequence[Outcome]) -> None:
        """Add applied responses with their predictions.

        Args:
            responses: responses in the order of recording.
            outcomes: outcome of each response, all under the same parameters.
        """
        if not outcomes:
            return
        version = outcomes[0].parameters_version
        if version != self._version:
            self._buffer.clear()
            self._begin()
            self._version = version
        self._buffer.extend(zip(responses, outcomes, strict=True))
        if len(self._buffer) >= _BUFFERED:
            self._flush()

    def figures(self) -> Figures:
        """Compute the measures of all observed responses."""
        self._flush()
        measures = self._windows.measures()
        names = self._popular.names
        concepts = {
            name: measure
            for name, measure in zip(names, measures[_CONCEPTS:], strict=True)
            if name is not None
        }
        return Figures(
            self._version,
            measures[_ALL],
            dict(zip(LABELS, measures[_HISTORIES:_OTHERS], strict=True)),
            {**concepts, OTHERS: measures[_OTHERS]},
            {of: self._drift.misfit(kind, _ALL) for kind, of in enumerate(KINDS)},
            {of: self._drift.drifting(kind, _ALL) for kind, of in enumerate(KINDS)},
            {
                of: sum(self._drift.drifting(kind, _CONCEPTS + k) for k in range(CONCEPTS))
                for kind, of in enumerate(KINDS)
            },
        )

    def curve(self) -> list[CurveBin]:
        """Return the calibration curve of all observed responses, without its empty bins."""
        self._flush()
        return self._windows.curve(_ALL)

    def _flush(self) -> None:
        buffer, self._buffer = self._buffer, []
        if not buffer:
            return
        scores = np.array([response.score for response, _ in buffer])
        predictions = np.array([outcome.probability_correct for _, outcome in buffer])
        attempts = np.array([outcome.concepts[0].attempts for _, outcome in buffer])
        names = [name for response, _ in buffer for name in response.concept_ids]
        self._make_room(names)
        place_of = self._popular.places.get
        windows = [_CONCEPTS + place_of(name, _OTHERS - _CONCEPTS) for name in names]
        every = np.arange(len(buffer))
        response_of_name = np.repeat(every, [len(response.concept_ids) for response, _ in buffer])
        of = np.concatenate((every, every, response_of_name))
        self._windows.add(
            np.concatenate((np.zeros_like(every), _HISTORIES + group_of(attempts), windows)),
            scores[of],
            predictions[of],
        )
        misfits = self._windows.misfits()
        for change in self._drift.look(misfits):
            self._on_drift(
                Drift(
                    None if change.window == _ALL else self._name_of(change.window),
                    change.kind,
                    change.began,
                    change.misfit,
                    float(misfits.answers[change.window]),
                    self._version,
                )
            )

    def _make_room(self, names: Sequence[str]) -> None:
        taken = self._popular.count(name for name in names if name != OTHERS)
        if taken is not None:
            self._windows.clear(_CONCEPTS + taken)
            self._drift.clear(_CONCEPTS + taken)

    def _name_of(self, window: int) -> str | None:
        return self._popular.names[window - _CONCEPTS]
