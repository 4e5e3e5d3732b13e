"""Show refused events without any token, whatever is wrong with the event."""

import math
import re
from typing import Any, Final

from pydantic_core import from_json

REDACTED: Final = "(redacted)"

_TOKEN_FIELD: Final = "token"  # noqa: S105  # the name of a field
_DEEPEST: Final = 64
_HUGE: Final = 2**63
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*")
"""Base64url of text that begins with ``{"``, like every JWT header (RFC 7519, section 3)."""
_FIELD_IN_TEXT: Final = re.compile(r'("token"\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|[^\s,}\]]+)', re.DOTALL)
"""A member named token in broken JSON, up to the end of its value or of the text."""


def shown(event: bytes) -> Any:
    """Return an event without its token: an object if it is JSON, else its text.

    Args:
        event: the text of the entry's field `event`; bytes that are not UTF-8 become escapes.
    """
    try:
        return without_tokens(from_json(event))
    except ValueError:
        text = event.decode("utf-8", "backslashreplace")
        return without_jwts(_FIELD_IN_TEXT.sub(rf'\1"{REDACTED}"', text))


def without_tokens(value: Any, depth: int = 0) -> Any:
    """Return a JSON value without members named token and without text like a JWT.

    Args:
        value: the value.
        depth: its depth within the document; too deep values are left out.
    """
    if depth > _DEEPEST:
        return "(too deep to show)"
    if isinstance(value, dict):
        return {
            without_jwts(name): REDACTED
            if name.lower() == _TOKEN_FIELD
            else without_tokens(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [without_tokens(inner, depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _HUGE:
        return str(value)  # not every JSON reader supports such numbers
    return without_jwts(value) if isinstance(value, str) else value


def without_jwts(text: str) -> str:
    """Return a text without anything that looks like a JWT."""
    return _JWT.sub(REDACTED, text)
