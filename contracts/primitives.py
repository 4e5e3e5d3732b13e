"""The constrained values in events."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, core_schema

# Unicode category Cc. Lone surrogates never occur, because JSON text is UTF-8.
_WITHOUT_CONTROL_CHARACTERS: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
_CANONICAL_UUID: Final = (
    r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
)
_LOCAL_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
_ZULU: Final = "[Zz]$"
_OFFSET: Final = "[+-][0-9]{2}:[0-9]{2}$"


@dataclass(frozen=True, slots=True)
class Explained:
    """Report any fault of a value as one error at the value's own path, with a fixed message.

    Otherwise each member of a union reports its own error, at a path that is no field of the event.
    """

    kind: str
    message: str

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source), custom_error_type=self.kind, custom_error_message=self.message
        )


class _Rfc3339:
    """Restrict a datetime field to RFC 3339 text with a zone, or an aware datetime.

    Pydantic alone also accepts "1795000000" as a time, and a year 1 or 9999 whose offset leaves the
    calendar, which fails only later, in arithmetic. Everything but an offset other than Z, which
    publishers rarely write, is checked inside pydantic-core: no other check is as fast.
    """

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        text = core_schema.union_schema(
            [
                _parsed(_LOCAL_TIME + _ZULU),
                core_schema.no_info_after_validator_function(
                    _in_utc, _parsed(_LOCAL_TIME + _OFFSET)
                ),
            ],
            mode="left_to_right",
        )
        moment = core_schema.no_info_after_validator_function(
            _in_utc,
            core_schema.chain_schema(
                [
                    core_schema.is_instance_schema(datetime),
                    core_schema.datetime_schema(tz_constraint="aware"),
                ]
            ),
        )
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.union_schema([text, moment], mode="left_to_right"),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


def _parsed(pattern: str) -> CoreSchema:
    return core_schema.chain_schema(
        [
            core_schema.str_schema(strict=True, pattern=pattern),
            # Digits beyond microseconds are cut: nobody answers that precisely.
            core_schema.datetime_schema(
                strict=False, tz_constraint="aware", microseconds_precision="truncate"
            ),
        ]
    )


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between the years 1 and 9999 in UTC") from None


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

Timestamp = Annotated[
    datetime,
    _Rfc3339(),
    Explained(
        "rfc_3339",
        "must be an existing moment between the years 1 and 9999 in UTC, written as an RFC 3339 "
        "time with a zone, such as 2026-11-21T09:29:58.400Z",
    ),
]
"""An RFC 3339 time with a zone, kept in UTC to the microsecond."""

Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
"""A probability in [0, 1]."""

TraceParent = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
]
"""A W3C trace context, version-traceid-parentid-flags."""
