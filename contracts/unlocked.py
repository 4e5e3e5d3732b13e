"""`practice.concept.unlocked.v1`: a student is ready for a concept."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.envelope import CloudEvent, Message
from contracts.primitives import Identifier, Timestamp


class UnlockedData(Message):
    """A concept whose prerequisites the student has all mastered, and which is not mastered yet."""

    tenant_id: Identifier
    student_id: Identifier
    concept_id: Identifier = Field(description="The concept that the student is ready for.")
    unlocked_by: Identifier = Field(
        description="The prerequisite that was mastered last, and completed them."
    )
    prerequisites: list[Identifier] = Field(
        description="All prerequisites of the concept at that moment, in order of their ids."
    )
    version: Annotated[int, Field(ge=1)] = Field(
        description="The student's version of the mastery event that completed them."
    )
    at: Timestamp = Field(description="When the answer of that event was given.")


class ConceptUnlocked(CloudEvent[UnlockedData]):
    """A student is ready for a concept: one event per student and concept, ever."""

    TYPE: ClassVar[str] = "practice.concept.unlocked.v1"

    type: Literal["practice.concept.unlocked.v1"]
    data: UnlockedData
