"""The JWT claims that say who reports."""

from typing import Annotated

from pydantic import ConfigDict, Field

from contracts.envelope import Message
from contracts.primitives import Identifier

NumericDate = Annotated[int | Annotated[float, Field(allow_inf_nan=False)], Field()]
"""Seconds since 1970-01-01T00:00:00Z (RFC 7519, section 2), always finite."""


class Claims(Message):
    """Claims of the student's JWT, as the publisher verified them.

    The tenant's claim is a setting (``JWT_TENANT_CLAIM``), so claims unknown here are kept.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    sub: Identifier = Field(description="Who reports: the student, or a delegated role's id.")
    iss: Annotated[str, Field(min_length=1, max_length=1024)] = Field(description="Issuer.")
    aud: (
        Annotated[str, Field(min_length=1, max_length=1024)]
        | Annotated[list[str], Field(min_length=1, max_length=64)]
    ) = Field(description="Audience, one or several.")
    exp: NumericDate = Field(description="Expiry, judged when the event entered the stream.")
    iat: NumericDate = Field(description="When it was issued.")
    nbf: NumericDate | None = Field(default=None, description="Not valid before.")
    role: str | None = Field(default=None, description="The role; a delegated one may report.")
