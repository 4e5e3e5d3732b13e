"""Validity of mastery: the share of right answers after a declaration of mastery.

A pair is one learner with one concept. The first answer after which mastery reaches a threshold
declares the pair mastered. Right answers follow if mastery means knowing, so validity is the mean
score of the first answers after the declaration. A model that declares fewer pairs has an easier
task. So models are compared at equal shares: the threshold is moved until each declares the same
share of its pairs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MASTERED: Final = 0.95
"""Default threshold of mastery."""
SHARES: Final = (0.3, 0.4, 0.5)
"""Shares of declared pairs at which models are compared."""
ANSWERS: Final = 5
"""Largest number of a pair's answers that count after a declaration, and before it."""

_ROUNDING: Final = 1e-9
"""Tolerance of a count of pairs, since shares such as .3 are not exact."""


class MasteryTrace(NamedTuple):
    """Mastery after each answer, one entry per answer and concept of it; columns of shape (n,).

    The entries of one pair are in the learner's order; other entries may lie between them.
    """

    pair: Ints
    """Number of the learner-concept pair, 0 or more."""
    log_odds: Floats
    """Log-odds of mastery after the answer, natural logarithm; ±inf is allowed."""
    score: Floats
    """Score of the answer, in [0, 1]."""


@dataclass(frozen=True)
class Declared:
    """Validity at one threshold.

    Args:
        threshold: mastery that declares a pair, in [0, 1]; NaN without a pair.
        share: declared pairs over all pairs, in [0, 1]; NaN without a pair.
        right_after: mean score of the up to `ANSWERS` answers after each declaring answer, pooled
            over pairs; NaN without any.
        answers_after: number of these answers.
        right_before: mean score of the up to `ANSWERS` answers directly before each declaring
            answer, pooled over pairs; NaN without any. The declaring answer counts in neither.
        answers_before: number of these answers.
        without_following: number of pairs that their last answer declared.
    """

    threshold: float
    share: float
    right_after: float
    answers_after: int
    right_before: float
    answers_before: int
    without_following: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Declared":
        """Read the result of `document`."""
        return cls(**{name: _number(value) for name, value in document.items()})

    def document(self) -> dict[str, Any]:
        """Write as JSON; null where a figure is not defined."""
        return {name: _finite(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Validity:
    """Validity of one model's mastery.

    Args:
        pairs: number of learner-concept pairs with an answer.
        at_threshold: validity at the threshold of mastery.
        at_shares: validity where about a given share of the pairs is declared, by that share.
        answers_until: lower quartile, median and upper quartile of the number of the declaring
            answer (1 is the pair's first) over the mastered pairs, interpolated linearly; NaN
            without a mastered pair.
        lapses: falls from the threshold or above to below it, per mastered pair; NaN without a
            mastered pair.
    """

    pairs: int
    at_threshold: Declared
    at_shares: Mapping[float, Declared]
    answers_until: tuple[float, float, float]
    lapses: float

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Validity":
        """Read the result of `document`."""
        until = document["answers_until_mastery"]
        return cls(
            document["pairs"],
            Declared.of(document["at_threshold"]),
            {
                float(share): Declared.of(declared)
                for share, declared in document["at_shares"].items()
            },
            (
                _number(until["lower_quartile"]),
                _number(until["median"]),
                _number(until["upper_quartile"]),
            ),
            _number(document["lapses_per_mastered_pair"]),
        )

    def document(self) -> dict[str, Any]:
        """Write as JSON; null where a figure is not defined."""
        lower, median, upper = map(_finite, self.answers_until)
        return {
            "pairs": self.pairs,
            "at_threshold": self.at_threshold.document(),
            "at_shares": {
                str(share): declared.document() for share, declared in self.at_shares.items()
            },
            "answers_until_mastery": {
                "lower_quartile": lower,
                "median": median,
                "upper_quartile": upper,
            },
            "lapses_per_mastered_pair": _finite(self.lapses),
        }


def validity(
    trace: MasteryTrace, threshold: float = MASTERED, shares: Sequence[float] = SHARES
) -> Validity:
    """Measure the validity of one model's mastery.

    Args:
        trace: mastery after each answer.
        threshold: mastery from which a pair counts as mastered, in (0, 1).
        shares: shares of pairs to declare, each in (0, 1].

    Raises:
        ValueError: a share lies outside (0, 1].
    """
    trails = PairTraces(trace)
    level = float(log_odds_of(np.array(threshold)))
    first = trails.declaring(level)
    declared = first >= 0
    number = (first - trails.begin[:-1])[declared] + 1
    lower, median, upper = (
        np.percentile(number, (25.0, 50.0, 75.0)).tolist() if number.size else (math.nan,) * 3
    )
    return Validity(
        trails.begin.size - 1,
        _declared(trails, level, threshold),
        {share: _declared_at(trails, share) for share in shares},
        (lower, median, upper),
        trails.lapses(level) / number.size if number.size else math.nan,
    )


class PairTraces:
    """The entries of a trace, sorted by pair; each pair keeps its order.

    Attributes:
        pairs: number of each pair with an entry, rising, shape (p,).
        begin: first entry of each pair, and the number of entries, shape (p + 1,).
    """

    def __init__(self, trace: MasteryTrace) -> None:
        order = np.argsort(trace.pair, kind="stable")
        self.pairs, first = np.unique(trace.pair[order], return_index=True)
        self.begin: Ints = np.append(first, order.size).astype(np.int64)
        self._log_odds: Floats = trace.log_odds[order]
        self._sum_before: Floats = np.concatenate(([0.0], np.cumsum(trace.score[order])))

    def threshold_at(self, share: float) -> float:
        """Find the log-odds that declare a share of the pairs, or the nearest share above it.

        Pairs with equal largest log-odds are declared together, so ties may declare more.

        Returns:
            The log-odds; NaN without a pair.

        Raises:
            ValueError: the share lies outside (0, 1].
        """
        if not 0.0 < share <= 1.0:
            raise ValueError(f"share must lie in (0, 1], not {share}")
        if not self.pairs.size:
            return math.nan
        peaks = np.sort(np.maximum.reduceat(self._log_odds, self.begin[:-1]))
        wanted = max(1, math.ceil(share * peaks.size - _ROUNDING))
        return float(peaks[peaks.size - wanted])

    def declaring(self, level: float) -> Ints:
        """Find each pair's first entry with log-odds at or above a level.

        Returns:
            Places among the sorted entries, -1 for a pair without any; shape (p,).
        """
        if not self.pairs.size:
            return np.empty(0, dtype=np.int64)
        size = self._log_odds.size
        reached = np.where(self._log_odds >= level, np.arange(size), size)
        first = np.minimum.reduceat(reached, self.begin[:-1])
        return np.where(first < size, first, -1)

    def after(self, level: float) -> tuple[Floats, Ints]:
        """Sum the scores of the answers after each pair's declaration.

        Returns:
            Sum and number of the up to `ANSWERS` answers after the declaring one, shape (p,) each;
            0 for a pair that is not declared.
        """
        first = self.declaring(level)
        begin = np.where(first < 0, 0, first + 1)
        end = np.where(first < 0, 0, np.minimum(begin + ANSWERS, self.begin[1:]))
        return self._sum_before[end] - self._sum_before[begin], end - begin

    def before(self, level: float) -> tuple[Floats, Ints]:
        """Sum the scores of the up to `ANSWERS` answers directly before each declaring one.

        Returns:
            See `after`.
        """
        first = self.declaring(level)
        end = np.maximum(first, 0)
        begin = np.where(first < 0, 0, np.maximum(end - ANSWERS, self.begin[:-1]))
        return self._sum_before[end] - self._sum_before[begin], end - begin

    def lapses(self, level: float) -> int:
        """Count the answers that bring their pair from a level or above to below it."""
        mastered = self._log_odds >= level
        falls = mastered[:-1] & ~mastered[1:]
        # The last entry of one pair and the first of the next are no fall.
        falls[self.begin[1:-1] - 1] = False
        return int(np.count_nonzero(falls))


def log_odds_of(mastery: Floats) -> Floats:
    """Compute the natural logarithm of the odds of probabilities in [0, 1]; ±inf at the ends."""
    with np.errstate(divide="ignore"):
        odds: Floats = np.log(mastery) - np.log1p(-mastery)
    return odds


def _declared_at(trails: PairTraces, share: float) -> Declared:
    level = trails.threshold_at(share)
    return _declared(trails, level, _probability(level))


def _declared(trails: PairTraces, level: float, threshold: float) -> Declared:
    declared = trails.declaring(level) >= 0
    right_after, after = trails.after(level)
    right_before, before = trails.before(level)
    return Declared(
        threshold,
        _ratio(float(np.count_nonzero(declared)), declared.size),
        _ratio(right_after.sum(), after.sum()),
        int(after.sum()),
        _ratio(right_before.sum(), before.sum()),
        int(before.sum()),
        int(np.count_nonzero(declared & (after == 0))),
    )


def _ratio(above: float, below: int) -> float:
    return float(above) / int(below) if below else math.nan


def _probability(log_odds: float) -> float:
    if log_odds >= 0.0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1.0 + odds)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> Any:
    return math.nan if value is None else value
