"""Pages of long answers: the parameters ``limit`` and ``cursor``."""

import base64
from typing import Any, Final

import orjson
from starlette.exceptions import HTTPException

PAGE: Final = 50
"""Rows of a page by default."""
LARGEST_PAGE: Final = 200


def limit_of(text: str | None) -> int:
    """Return the number of rows that a request asks for.

    Raises:
        HTTPException: 422.
    """
    if text is None:
        return PAGE
    if text.isascii() and text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= LARGEST_PAGE:
        return int(text)
    raise HTTPException(422, f"limit is {text[:20]!r}: write a number from 1 to {LARGEST_PAGE}.")


def cursor_of(place: Any) -> str:
    """Return the cursor of a place that is JSON."""
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode()


def place_of(cursor: str) -> Any:
    """Return the place of a cursor; whether it is one of ours is not checked.

    Raises:
        ValueError: it is not a cursor.
    """
    # base64 and JSON errors are ValueErrors.
    return orjson.loads(base64.urlsafe_b64decode(cursor.encode()))


def bad_cursor() -> HTTPException:
    """Return the refusal of a cursor that is not ours."""
    return HTTPException(422, "cursor is not valid: send next_cursor as it was answered.")
