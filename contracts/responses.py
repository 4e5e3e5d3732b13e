"""`practice.response.recorded.v1`: a student answered a practice question.

Versions are explained in `contracts.envelope`; older ones that are still accepted are in
`contracts.upcasting`.
"""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints, model_validator

from contracts.claims import Claims
from contracts.envelope import MINOR_VERSION, CloudEvent, Message
from contracts.primitives import Explained, Identifier, Probability, Timestamp, Uuid

CORRECT_FROM = 0.5
"""Lowest score that counts as correct if only right or wrong matters."""


class Response(Message):
    """One answer of one student to one item."""

    response_id: Uuid = Field(
        description="Made once per answer by the publisher: the idempotency key."
    )
    student_id: Identifier
    session_id: Identifier | None = Field(default=None, description="The practice session.")
    item_id: Identifier
    # Stop at the first wrong one: a list of thousands would otherwise give as many errors.
    concept_ids: Annotated[
        tuple[Identifier, ...], Field(min_length=1, max_length=16, fail_fast=True)
    ] = Field(
        description="The concepts (knowledge components) that the item exercises, distinct.",
        json_schema_extra={"uniqueItems": True},
    )
    scale: Identifier = Field(default="default", description="The ability scale.")
    correct: bool | None = Field(default=None, description="Right or wrong.")
    score: Probability | None = Field(default=None, description="Partial credit; what counts.")
    answered_at: Timestamp = Field(
        description="When the student answered: what order means. At most 5 minutes after the "
        "time at which the event entered the stream."
    )
    response_time_ms: Annotated[int, Field(ge=0, le=2**53)] | None = Field(
        default=None, description="Time to the answer, milliseconds."
    )
    attempt: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="Which attempt at this item it was."
    )
    hints_used: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None

    @model_validator(mode="after")
    def _one_credit(self) -> "Response":
        concepts, score, correct = self.concept_ids, self.score, self.correct
        if len(concepts) > 1 and len(set(concepts)) != len(concepts):
            raise ValueError("concept_ids must be distinct: name each concept once")
        if score is None:
            if correct is None:
                raise ValueError("correct or score is required: give one of them")
        elif correct is not None and correct is not (score >= CORRECT_FROM):
            raise ValueError(
                f"correct is {str(correct).lower()} but score is {score}: correct "
                "means a score of 0.5 or more; leave one of them out"
            )
        return self

    @property
    def credit(self) -> float:
        """Return the score that counts, in [0, 1]."""
        return self.score if self.score is not None else float(bool(self.correct))


class RecordedData(Message):
    """Claims of the reporter, and the answer."""

    claims: Claims
    token: str | None = Field(
        default=None, description="The JWT of the claims; required when JWT_MODE=verify."
    )
    response: Response


class ResponseRecorded(CloudEvent[RecordedData]):
    """A student answered a practice question."""

    TYPE: ClassVar[str] = "practice.response.recorded.v1"

    type: Annotated[
        str,
        StringConstraints(pattern=r"^practice\.response\.recorded\.v1" + MINOR_VERSION),
        Explained(
            "event_type",
            "must be practice.response.recorded.v1, to which a minor version may be appended (.1); "
            "other versions are unknown here: publish that one",
        ),
    ] = Field(
        description="A minor version may follow: `practice.response.recorded.v1.3`.",
        examples=["practice.response.recorded.v1"],
    )
    data: RecordedData
