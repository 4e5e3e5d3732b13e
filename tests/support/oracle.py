"""Compute the expected estimates plainly and independently of the engine.

It follows the published definition alone (classical BKT, 2PL EAP by integration, the learner's own
order) and shares no code with ``workers``. All arithmetic is decimal with 40 to 60 digits, so no
rounding matters; the C decimal module makes it fast (a few microseconds an answer).

A row is any mapping with the columns of ``student_responses``: ``response_id``, ``session_id``,
``item_id``, ``concept_ids``, ``scale``, ``score``, ``answered_at``. The last is an aware datetime,
RFC 3339 text, or an integer of microseconds, of the same kind in all rows of a learner.
"""

import csv
import gzip
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

DIGITS = 60
ONE = Decimal(1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = Mapping[str, Any]


def exactly(digits: int = DIGITS) -> Context:
    """Return the arithmetic context of all computations here, for a caller's `localcontext`."""
    return Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN)


@dataclass(frozen=True)
class Bkt:
    """BKT parameters, exact decimals."""

    prior: Decimal = Decimal("0.25")
    learn: Decimal = Decimal("0.10")
    guess: Decimal = Decimal("0.20")
    slip: Decimal = Decimal("0.10")
    forget: Decimal = Decimal(0)

    @classmethod
    def of_floats(
        cls, prior: float, learn: float, guess: float, slip: float, forget: float
    ) -> "Bkt":
        """Convert floats to their exact decimal values."""
        return cls(Decimal(prior), Decimal(learn), Decimal(guess), Decimal(slip), Decimal(forget))


CLASSICAL = Bkt()


@dataclass
class Chain:
    """Mastery of one concept as two unnormalised weights, which never cancel."""

    known: Decimal
    unknown: Decimal
    attempts: int = 0
    last_answered_at: Any = None

    def p(self) -> Decimal:
        return self.known / (self.known + self.unknown)

    def probability_correct(self, bkt: Bkt) -> Decimal:
        p = self.p()
        return p * (ONE - bkt.slip) + (ONE - p) * bkt.guess

    def answer(self, bkt: Bkt, score: float) -> None:
        if_known, if_unknown = _likelihoods(bkt, score)
        known, unknown = self.known * if_known, self.unknown * if_unknown
        self.known = known * (ONE - bkt.forget) + unknown * bkt.learn
        self.unknown = known * bkt.forget + unknown * (ONE - bkt.learn)


@cache
def _likelihoods(bkt: Bkt, score: float) -> tuple[Decimal, Decimal]:
    with localcontext(exactly()):
        s = Decimal(score)
        return (
            _power(ONE - bkt.slip, s) * _power(bkt.slip, ONE - s),
            _power(bkt.guess, s) * _power(ONE - bkt.guess, ONE - s),
        )


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    return ONE if exponent == 0 else base**exponent


@dataclass
class Ability:
    responses: int = 0
    score: Decimal = Decimal(0)

    def estimate(self) -> tuple[Decimal, Decimal]:
        """Return posterior mean and standard deviation."""
        return eap(self.responses, self.score)


@cache
def eap(responses: int, score: Decimal) -> tuple[Decimal, Decimal]:
    """Compute the posterior mean and standard deviation of ability from answers and their sum.

    It uses the trapezoid rule outwards from the mode, until the density falls to 1e-30 of its
    maximum. Points a third of a standard deviation apart give more digits than a float has.
    """
    mode = _mode(responses, float(score))
    right = 1.0 / (1.0 + math.exp(-mode))
    step = Decimal(1.0 / math.sqrt(1.0 + responses * right * (1.0 - right)) / 3.0)
    with localcontext(exactly(40)):
        top = _log_density(Decimal(mode), responses, score)
        points = []
        for direction, first in ((step, 0), (-step, 1)):
            theta, weight = Decimal(mode) + first * direction, ONE
            while weight > Decimal("1e-30"):
                weight = (_log_density(theta, responses, score) - top).exp()
                points.append((theta, weight))
                theta += direction
        total = sum((w for _, w in points), Decimal(0))
        mean = sum((theta * w for theta, w in points), Decimal(0)) / total
        variance = sum(((theta - mean) ** 2 * w for theta, w in points), Decimal(0)) / total
        return mean, variance.sqrt()


def _log_density(theta: Decimal, responses: int, score: Decimal) -> Decimal:
    """Compute the log posterior up to a constant: prior N(0, 1), `score` right of `responses`."""
    return score * theta - theta * theta / 2 - responses * (ONE + theta.exp()).ln()


def _mode(responses: int, score: float) -> float:
    """Find the mode of the posterior by bisection."""
    low, high = -40.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2.0
        rising = score - responses / (1.0 + math.exp(-middle)) - middle > 0.0
        low, high = (middle, high) if rising else (low, middle)
    return low


@dataclass
class Session:
    responses: int = 0
    correct: int = 0
    started_at: Any = None
    ended_at: Any = None


@dataclass
class Step:
    """One answer in the learner's own order, and the prediction before it."""

    response_id: str
    probability_correct: dict[str, Decimal]
    previous_mastery: dict[str, Decimal]
    mastery: dict[str, Decimal]
    attempts: dict[str, int]


@dataclass
class State:
    """The result of a learner's answers."""

    concepts: dict[str, Chain] = field(default_factory=dict)
    abilities: dict[str, Ability] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def mastery(self) -> dict[str, Decimal]:
        with localcontext(exactly()):
            return {concept: chain.p() for concept, chain in self.concepts.items()}


def replay(rows: Iterable[Row], bkt: Bkt = CLASSICAL, *, steps: bool = False) -> State:
    """Replay one learner's answers in the learner's own order; repeats of an id count once.

    Args:
        rows: the answers, in any order.
        bkt: parameters of every concept.
        steps: True to keep the prediction and the estimate at each answer.
    """
    distinct = {str(UUID(str(row["response_id"]))): row for row in rows}
    state = State()
    with localcontext(exactly()):
        for response_id, row in sorted(
            distinct.items(), key=lambda pair: (moment_us(pair[1]["answered_at"]), pair[0])
        ):
            _answer(state, response_id, row, bkt, steps=steps)
    return state


def _answer(state: State, response_id: str, row: Row, bkt: Bkt, *, steps: bool) -> None:
    score, at = row["score"], row["answered_at"]
    step = Step(response_id, {}, {}, {}, {})
    for concept in row["concept_ids"]:
        chain = state.concepts.setdefault(concept, Chain(bkt.prior, ONE - bkt.prior))
        if steps:
            step.probability_correct[concept] = chain.probability_correct(bkt)
            step.previous_mastery[concept] = chain.p()
        chain.answer(bkt, score)
        chain.attempts += 1
        chain.last_answered_at = at
        if steps:
            step.mastery[concept] = chain.p()
            step.attempts[concept] = chain.attempts
    if steps:
        state.steps.append(step)
    ability = state.abilities.setdefault(row["scale"], Ability())
    ability.responses += 1
    ability.score += Decimal(score)
    if row["session_id"] is not None:
        session = state.sessions.setdefault(row["session_id"], Session())
        session.responses += 1
        session.correct += score >= 0.5
        session.started_at = at if session.started_at is None else session.started_at
        session.ended_at = at


def moment_us(value: Any) -> int:
    """Convert a datetime, RFC 3339 text or microseconds to microseconds since 1970."""
    if isinstance(value, int):
        return value
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment - _EPOCH) // timedelta(microseconds=1)


def replay_by_student(rows: Iterable[Row], bkt: Bkt = CLASSICAL) -> dict[tuple[str, str], State]:
    """`replay` the rows of many learners; rows also have ``tenant_id`` and ``student_id``."""
    of: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        of[row["tenant_id"], row["student_id"]].append(row)
    return {key: replay(own, bkt) for key, own in of.items()}


def rows_of_csv(file: Path, limit: int | None = None) -> list[dict[str, Any]]:
    """Read rows of a file ``student,item,concept,correct,order`` for `replay`.

    The file has no times: answer k of a student is given at second k of 2020. Response ids are made
    from line numbers, so that they are the same each time.
    """
    start = moment_us("2020-01-01T00:00:00+00:00")
    rows = []
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        for number, line in enumerate(csv.DictReader(lines)):
            if limit is not None and number >= limit:
                break
            rows.append(
                {
                    "tenant_id": "default",
                    "student_id": line["student"],
                    "response_id": str(UUID(int=number)),
                    "session_id": None,
                    "item_id": line["item"],
                    "concept_ids": [line["concept"]],
                    "scale": "default",
                    "score": float(line["correct"]),
                    "answered_at": start + int(line["order"]) * 1_000_000,
                }
            )
    return rows
