"""`practice.mastery.changed.v1`: a student's mastery of a concept changed."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.envelope import CloudEvent, Message
from contracts.primitives import Identifier, Probability, Timestamp, Uuid

Transition = Literal["none", "mastered", "lapsed"]
Cause = Literal["response", "correction", "rebuild", "parameters"]
Count = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Interval(Message):
    """Between which ends a value lies with a probability of 95 %."""

    low: Finite
    high: Finite


class Ability(Message):
    """Ability on a scale after the commit, in logits."""

    scale: Identifier
    theta: Finite = Field(description="Posterior mean, logits.")
    standard_error: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = Field(
        description="Posterior standard deviation, logits."
    )
    previous_theta: Finite = Field(description="Posterior mean before, logits.")
    interval: Interval | None = Field(default=None, description="95 % interval of it, logits.")
    person_fit: Finite | None = Field(
        default=None,
        description="How far the learner's answers on the scale are from what was predicted, in "
        "standard deviations; far below 0 for who misses the easy and gets the hard. On calibrated "
        "scales, from 10 answers on.",
    )


class SessionCounts(Message):
    """The learner's answers in the session, after the commit."""

    responses: Count
    correct: Count


class MasteryData(Message):
    """Values that were current after the commit of the response."""

    tenant_id: Identifier
    student_id: Identifier
    concept_id: Identifier
    mastery: Probability = Field(description="P(known) after this answer.")
    mastery_interval: Interval | None = Field(
        default=None,
        description="95 % credible interval of the mastery, where the parameters' uncertainty is "
        "known.",
    )
    previous_mastery: Probability = Field(
        description="P(known) before it; of a first attempt the prior."
    )
    mastered: bool = Field(description="Whether mastery has reached the threshold.")
    transition: Transition = Field(description="Whether the threshold was crossed, and how.")
    attempts: Count = Field(
        description="Answers of this learner on this concept that count; 0 where a correction left "
        "none, and mastery is the prior."
    )
    version: Annotated[int, Field(ge=1)] = Field(
        description="Strictly rising per learner, with gaps: keep the event with the highest."
    )
    probability_correct: Probability = Field(
        description="P(correct), predicted before this answer was seen."
    )
    ability: Ability
    response_id: Uuid
    item_id: Identifier
    session_id: Identifier | None = None
    correct: bool = Field(description="Whether the score is 0.5 or more.")
    score: Probability
    session: SessionCounts | None = Field(
        default=None, description="Counts of the response's session, where it has one."
    )
    answered_at: Timestamp
    last_answered_at: Timestamp = Field(
        description="Newest answer on this concept; differs for a late response."
    )
    parameters_version: Annotated[int, Field(ge=1)]
    unusual_answers: Literal[True] | None = Field(
        default=None,
        description="The learner's answers on the scale are not such as were predicted: "
        "`ability.person_fit` is below -3. Perhaps guessed, copied or somebody else's.",
    )
    wheel_spinning: Literal[True] | None = Field(
        default=None, description="Not mastered after 10 attempts or more."
    )
    cause: Cause | None = Field(
        default=None, description="Why it changed; absent: the response that is named."
    )
    correction: Literal["void", "rescore"] | None = Field(
        default=None,
        description="Where a correction is the cause: the response that is named counts no more, "
        "or has the score that is given.",
    )


class MasteryChanged(CloudEvent[MasteryData]):
    """A student's mastery of a concept changed: one event per applied response and concept."""

    TYPE: ClassVar[str] = "practice.mastery.changed.v1"

    type: Literal["practice.mastery.changed.v1"]
    data: MasteryData
