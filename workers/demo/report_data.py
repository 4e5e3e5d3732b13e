"""What a report is made of, and the figures that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from workers.estimation.metrics import auc, brier, ece, log_loss, rmse

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """What was predicted one step ahead, and what then happened.

    One row for each response and concept of it, all of the same length, in any order.

    Args:
        student_id: who answered.
        concept_id: the concept.
        attempt: which attempt of the student at the concept it was, in the student's own order,
            from 1.
        score: in [0, 1].
        probability: P(correct) as stored, before the answer was seen.
    """

    student_id: Sequence[str]
    concept_id: Sequence[str]
    attempt: NDArray[np.int64]
    score: Floats
    probability: Floats

    def __post_init__(self) -> None:
        lengths = {
            name: len(column)
            for name, column in (
                ("student_id", self.student_id),
                ("concept_id", self.concept_id),
                ("attempt", self.attempt),
                ("score", self.score),
                ("probability", self.probability),
            )
        }
        if len(set(lengths.values())) != 1:
            raise ValueError(f"columns differ in length: {lengths}")
        if not self.score.size:
            raise ValueError("there is nothing to report: no prediction is given")

    def rows_by_concept(self) -> dict[str, NDArray[np.int64]]:
        """The numbers of the rows of each concept."""
        concept_ids, of = np.unique(np.asarray(self.concept_id, dtype=np.str_), return_inverse=True)
        sizes = np.bincount(of)
        rows = np.split(np.argsort(of, kind="stable"), np.cumsum(sizes)[:-1])
        return dict(zip(concept_ids.tolist(), rows, strict=True))


@dataclass(frozen=True)
class Knowledge:
    """What is estimated of the learners at the end, and what is true where that is known.

    Args:
        students: rows of the arrays below.
        concepts: columns of `mastery` and `known`, in the order in which they are to be shown.
        mastery: P(known), shape (students, concepts); NaN where there was no answer.
        theta: ability in logits, shape (students,); NaN where there is none.
        standard_error: of theta, logits, same shape.
        known: whether the student knows the concept in truth, as `mastery`; None: nobody knows.
    """

    students: Sequence[str]
    concepts: Sequence[str]
    mastery: Floats
    theta: Floats
    standard_error: Floats
    known: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        shape = (len(self.students), len(self.concepts))
        shapes = {"mastery": self.mastery.shape}
        if self.known is not None:
            shapes["known"] = self.known.shape
        wrong = {name: found for name, found in shapes.items() if found != shape}
        for name, column in (("theta", self.theta), ("standard_error", self.standard_error)):
            if column.shape != shape[:1]:
                wrong[name] = column.shape
        if wrong:
            raise ValueError(f"students and concepts make the shape {shape}, but: {wrong}")


@dataclass(frozen=True)
class ReportData:
    """All that a report shows.

    Args:
        title: its heading.
        source: where the answers come from, a sentence.
        generated_at: when it was made.
        responses: distinct responses processed.
        duration_s: in which time, seconds.
        predictions: the stored predictions.
        knowledge: the estimates at the end.
        mastery_threshold: from which a concept counts as mastered.
        titles: names of concepts for people, by id; an id without one stands for itself.
        facts: further lines of the summary, label and value.
    """

    title: str
    source: str
    generated_at: datetime
    responses: int
    duration_s: float
    predictions: Predictions
    knowledge: Knowledge
    mastery_threshold: float = 0.95
    titles: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)

    def title_of(self, concept_id: str) -> str:
        """The name of a concept for people."""
        return self.titles.get(concept_id, concept_id)


@dataclass(frozen=True)
class Quality:
    """How good predicted probabilities are; see `workers.estimation.metrics`."""

    count: int
    auc: float
    log_loss: float
    brier: float
    rmse: float
    ece: float

    @classmethod
    def of(cls, outcomes: Floats, predictions: Floats) -> "Quality":
        """Measure predictions, all at least one, against what happened."""
        return cls(
            outcomes.size,
            auc(outcomes, predictions),
            log_loss(outcomes, predictions),
            brier(outcomes, predictions),
            rmse(outcomes, predictions),
            ece(outcomes, predictions),
        )


@dataclass(frozen=True)
class Truth:
    """How near the estimates came to what the students know in truth.

    Args:
        estimate: practised pairs of student and concept, P(known).
        known: 1 where it is known in truth, else 0.
        quality: of the one against the other.
        declared: pairs that count as mastered.
        declared_known: those of them that are known in truth.
    """

    estimate: Floats
    known: Floats
    quality: Quality
    declared: int
    declared_known: int

    @classmethod
    def of(cls, knowledge: Knowledge, threshold: float) -> "Truth | None":
        """Compare; None where truth is not known or nothing was practised."""
        practised = ~np.isnan(knowledge.mastery)
        if knowledge.known is None or not practised.any():
            return None
        estimate = knowledge.mastery[practised]
        known = knowledge.known[practised].astype(np.float64)
        declared = estimate >= threshold
        return cls(
            estimate,
            known,
            Quality.of(known, estimate),
            int(declared.sum()),
            int(known[declared].sum()),
        )


@dataclass(frozen=True)
class Measures:
    """The figures of a report."""

    learners: int
    concepts: int
    responses_per_s: float
    predictions: Quality
    mastered: int
    """Pairs of learner and concept that count as mastered."""
    practised: int
    """Pairs with at least one answer."""
    truth: Truth | None

    @classmethod
    def of(cls, data: ReportData) -> "Measures":
        """Work out the figures."""
        mastery = data.knowledge.mastery
        return cls(
            len(set(data.predictions.student_id)),
            len(set(data.predictions.concept_id)),
            data.responses / data.duration_s if data.duration_s > 0 else float("nan"),
            Quality.of(data.predictions.score, data.predictions.probability),
            int((mastery >= data.mastery_threshold).sum()),
            int((~np.isnan(mastery)).sum()),
            Truth.of(data.knowledge, data.mastery_threshold),
        )
