"""The data of a report and the measures computed from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from workers.estimation.metrics import auc, brier, ece, log_loss, rmse

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """One-step-ahead predictions and the scores of the answers.

    Columns of equal length, with one row for each response and concept, in any order.

    Args:
        student_id: id of the student.
        concept_id: id of the concept.
        attempt: number of the student's attempt at the concept, from 1.
        score: in [0, 1].
        probability: P(correct), stored before the answer was seen.

    Raises:
        ValueError: if the columns differ in length or are empty.
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
        """Return the row numbers of each concept."""
        concept_ids, of = np.unique(np.asarray(self.concept_id, dtype=np.str_), return_inverse=True)
        sizes = np.bincount(of)
        rows = np.split(np.argsort(of, kind="stable"), np.cumsum(sizes)[:-1])
        return dict(zip(concept_ids.tolist(), rows, strict=True))


@dataclass(frozen=True)
class Knowledge:
    """Final estimates of the students, and their true knowledge where it is known.

    Args:
        students: ids, one for each row of the arrays below.
        concepts: ids, one for each column of `mastery` and `known`, in display order.
        mastery: P(known), shape (students, concepts); NaN without an answer.
        theta: ability in logits, shape (students,); NaN without an estimate.
        standard_error: of theta, logits, same shape.
        known: true knowledge, same shape as `mastery`; None if it is not known.

    Raises:
        ValueError: if a shape does not match.
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
        wrong = {name: of for name, of in shapes.items() if of != shape}
        for name, column in (("theta", self.theta), ("standard_error", self.standard_error)):
            if column.shape != shape[:1]:
                wrong[name] = column.shape
        if wrong:
            raise ValueError(f"students and concepts make the shape {shape}, but: {wrong}")


@dataclass(frozen=True)
class ReportData:
    """The data of a report.

    Args:
        title: heading of the report.
        source: sentence that names the origin of the answers.
        generated_at: time shown in the footer.
        responses: number of distinct responses processed.
        duration_s: processing time, seconds.
        predictions: the stored predictions.
        knowledge: the final estimates.
        mastery_threshold: lowest mastery that counts as mastered.
        titles: display names of concepts by id; the id is shown where there is none.
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
        """Return the display name of a concept."""
        return self.titles.get(concept_id, concept_id)


@dataclass(frozen=True)
class Quality:
    """Quality of predicted probabilities, as defined in `workers.estimation.metrics`."""

    count: int
    auc: float
    log_loss: float
    brier: float
    rmse: float
    ece: float

    @classmethod
    def of(cls, outcomes: Floats, predictions: Floats) -> "Quality":
        """Compare one or more predictions with their outcomes."""
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
    """Estimates compared with the true knowledge of simulated students.

    Args:
        estimate: P(known) of each practised student-concept pair.
        known: 1 if the student truly knows the concept, else 0.
        quality: of `estimate` as a prediction of `known`.
        declared: number of pairs that count as mastered.
        declared_known: number of these that are truly known.
    """

    estimate: Floats
    known: Floats
    quality: Quality
    declared: int
    declared_known: int

    @classmethod
    def of(cls, knowledge: Knowledge, threshold: float) -> "Truth | None":
        """Compare; None if the truth is not known or nothing was practised."""
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
    """The measures of a report."""

    learners: int
    concepts: int
    responses_per_s: float
    predictions: Quality
    mastered: int
    """Number of learner-concept pairs that count as mastered."""
    practised: int
    """Number of learner-concept pairs with at least one answer."""
    truth: Truth | None

    @classmethod
    def of(cls, data: ReportData) -> "Measures":
        """Compute the measures."""
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
