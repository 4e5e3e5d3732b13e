"""The JWT claims that identify the reporter of an event."""

from typing import Annotated

from pydantic import ConfigDict, Field

from contracts.envelope import Message
from contracts.primitives import Explained, Identifier

NumericDate = Annotated[float, Field(allow_inf_nan=False)]
"""Seconds since 1970-01-01T00:00:00Z (RFC 7519, section 2), whole or not, always finite."""

Audience = Annotated[
    Annotated[str, Field(min_length=1, max_length=1024)]
    | Annotated[list[str], Field(min_length=1, max_length=64)],
    Field(union_mode="left_to_right"),
    Explained("audience", "must be a string of 1 to 1024 characters or a list of 1 to 64 strings"),
]
"""One audience or several (RFC 7519, section 4.1.3)."""


class Claims(Message):
    """Claims of the student's JWT, as the publisher verified them.

    The tenant's claim is a setting (``JWT_TENANT_CLAIM``), so claims unknown here are kept.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    sub: Identifier = Field(description="Who reports: the student, or a delegated role's id.")
    iss: Annotated[str, Field(min_length=1, max_length=1024)] = Field(description="Issuer.")
    aud: Audience = Field(description="Audience, one or several.")
    exp: NumericDate = Field(description="Expiry, judged when the event entered the stream.")
    iat: NumericDate = Field(description="When it was issued.")
    nbf: NumericDate | None = Field(default=None, description="Not valid before.")
    role: str | None = Field(default=None, description="The role; a delegated one may report.")
