"""`practice.response.rejected.v1`: an entry was refused; it is kept whole, with the reason."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.envelope import CloudEvent, Message
from contracts.primitives import Timestamp


class RejectionCode(StrEnum):
    """Why an entry was refused."""

    INVALID = "invalid"
    TOO_LARGE = "too_large"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limited"
    POISON = "poison"

    @property
    def status(self) -> int:
        """Return the HTTP status with the same meaning."""
        return _STATUS[self]


_STATUS = {
    RejectionCode.INVALID: 422,
    RejectionCode.TOO_LARGE: 413,
    RejectionCode.UNAUTHENTICATED: 401,
    RejectionCode.FORBIDDEN: 403,
    RejectionCode.NOT_FOUND: 404,
    RejectionCode.CONFLICT: 409,
    RejectionCode.RATE_LIMITED: 429,
    RejectionCode.POISON: 500,
}


class RejectedData(Message):
    """The refused entry, whole, and the reason."""

    code: RejectionCode
    status: Literal[401, 403, 404, 409, 413, 422, 429, 500]
    reason: str = Field(description="A sentence that names field, value and remedy.")
    field: str | None = Field(default=None, description="Path of the field that is wrong.")
    stream: str = Field(description="The stream that the entry came from.")
    entry_id: str = Field(description="The id of the entry in that stream.")
    first_entry_id: str | None = Field(
        default=None,
        description="Of a redriven entry that is refused again, the id under which its event "
        "entered the stream for the first time; its milliseconds are the time of acceptance.",
    )
    deliveries: Annotated[int, Field(ge=1)] = Field(description="How often it was delivered.")
    rejected_at: Timestamp
    event: str | None = Field(
        default=None,
        description="The text of the entry's field `event`, whole; of an entry without that "
        'field, its fields as JSON pairs of name and value (`{"base64": …}` where not UTF-8).',
    )
    event_base64: str | None = Field(
        default=None, description="Instead of `event` where the text is not UTF-8."
    )
    without_event: bool | None = Field(
        default=None,
        description="True if the entry had no field `event`: there is nothing to send again.",
    )


class ResponseRejected(CloudEvent[RejectedData]):
    """An entry was refused; it is kept whole and can be sent again."""

    TYPE: ClassVar[str] = "practice.response.rejected.v1"

    type: Literal["practice.response.rejected.v1"]
    data: RejectedData
