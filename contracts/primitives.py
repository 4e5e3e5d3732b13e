"""The constrained values of which the events are made."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints

# Unicode categories Cc (control) and Cs (lone surrogates never reach us: JSON text is UTF-8).
_WITHOUT_CONTROL_CHARACTERS: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
_CANONICAL_UUID: Final = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _rfc_3339_in_utc_range(value: object) -> object:
    # Pydantic alone takes "1795000000" for a time, and a year 1 or 9999 whose offset leaves the
    # calendar fails only later, in arithmetic.
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError(
            "must be an RFC 3339 time with a zone, such as 2026-11-21T09:29:58.400Z"
        )
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between the years 1 and 9999 in UTC") from None


def _to_utc(value: Any) -> Any:
    checked = _rfc_3339_in_utc_range(value)
    if isinstance(checked, datetime):
        return _in_utc(checked)
    try:
        # `fromisoformat` reads at most microseconds; more digits are cut, as Postgres would store.
        text = str(checked).upper()
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            "must be an existing moment of the calendar, such as 2026-11-21T09:29:58.400Z"
        ) from None
    return _in_utc(parsed)


Identifier = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128, pattern=_WITHOUT_CONTROL_CHARACTERS),
]
"""An id chosen by the publisher: 1 to 128 characters, none of them a control character."""

Uuid = Annotated[
    str,
    StringConstraints(pattern=_CANONICAL_UUID, to_lower=True),
    Field(json_schema_extra={"format": "uuid"}),
]
"""A UUID in its canonical 36 characters, kept in lower case (no braces, no ``urn:``)."""

Timestamp = Annotated[AwareDatetime, BeforeValidator(_to_utc)]
"""An RFC 3339 time with a zone, kept in UTC to the microsecond."""

Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
"""A probability in [0, 1]."""

TraceParent = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
]
"""A W3C trace context, version-traceid-parentid-flags."""
