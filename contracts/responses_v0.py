"""`practice.response.recorded.v0`: the answer as early publishers report it. Frozen; deprecated.

Only its response differs from version 1: one concept, right or wrong, and no scale.
`contracts.upcasting` converts it to version 1.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from contracts.claims import Claims
from contracts.envelope import CloudEvent, Message
from contracts.primitives import Identifier, Timestamp, Uuid


class ResponseV0(Message):
    """One answer of one student to one item."""

    response_id: Uuid = Field(
        description="Made once per answer by the publisher: the idempotency key."
    )
    student_id: Identifier
    session_id: Identifier | None = Field(default=None, description="The practice session.")
    item_id: Identifier
    concept_id: Identifier = Field(description="The concept that the item exercises.")
    correct: bool = Field(description="Right or wrong.")
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


class RecordedDataV0(Message):
    """Claims of the reporter, and the answer."""

    claims: Claims
    token: str | None = Field(
        default=None, description="The JWT of the claims; required when JWT_MODE=verify."
    )
    response: ResponseV0


class ResponseRecordedV0(CloudEvent[RecordedDataV0]):
    """A student answered a practice question. Deprecated: publish version 1."""

    model_config = ConfigDict(json_schema_extra={"deprecated": True})

    TYPE: ClassVar[str] = "practice.response.recorded.v0"

    type: Literal["practice.response.recorded.v0"]
    data: RecordedDataV0
