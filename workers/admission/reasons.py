"""Say what is wrong with an event or a request, in a sentence with field, value and remedy."""

from typing import Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from contracts.rejections import RejectionCode
from contracts.streams import EVENT_FIELD
from workers.common.errors import Refused

LONGEST_VALUE: Final = 80
"""Characters of a value that a reason may quote."""

_MOST_NAMES: Final = 20
"""Missing fields that a reason names."""
_LONGEST_INTEGER: Final = 256
"""Bits of an integer that a reason may quote."""
_ABOUT_NAMES: Final = {
    "missing": "is missing: add it",
    "extra_forbidden": "is unknown: leave it out",
}
_TYPE: Final = "type"
_JWT: Final = "eyJ"
"""Every JWT header begins so: ``{"`` in base64url."""


class Whole(NamedTuple):
    """Words for a document as a whole.

    Args:
        name: what it is called where it is not JSON.
        content: what it is called where it is JSON, but not an object.
        remedy: what to send instead.
    """

    name: str
    content: str
    remedy: str


EVENT: Final = Whole(
    f"the field '{EVENT_FIELD}'", "the event", "publish the CloudEvent as JSON in UTF-8"
)
BODY: Final = Whole("the body", "the body", "send one JSON object in UTF-8")


class Wrong(NamedTuple):
    """One thing that is wrong."""

    path: str
    """The path of the field, such as ``data.response.item_id``; empty for the whole document."""
    error: ErrorDetails

    @property
    def about_identity(self) -> bool:
        """True if it concerns the claims or the token; reasons never quote those."""
        return self.path.startswith(("data.claims", "data.token"))


def refusal_of(failure: ValidationError) -> Refused:
    """Make the refusal of an event from what pydantic found.

    Errors in the form of the event come before errors in its claims and token: the code is
    ``unauthenticated`` only if nothing else is wrong.
    """
    wrong = _wrong_in(failure)
    # An event of another type has other fields, so their errors say nothing.
    other_type = [
        finding for finding in wrong if finding.path == _TYPE and finding.error["type"] != "missing"
    ]
    wrong = other_type or wrong
    about_form = [finding for finding in wrong if not finding.about_identity]
    first = (about_form or wrong)[0]
    code = RejectionCode.INVALID if about_form else RejectionCode.UNAUTHENTICATED
    return Refused(code, _whole_sentence(first, wrong, EVENT), first.path or EVENT_FIELD)


def reason_of(failure: ValidationError, *, below: str = "") -> str:
    """Return a sentence about the first thing wrong with a request, or about all that is missing.

    Args:
        failure: what pydantic found.
        below: the path of what was validated; empty for the whole body.
    """
    wrong = _wrong_in(failure, below)
    return _whole_sentence(wrong[0], wrong, BODY)


def _wrong_in(failure: ValidationError, below: str = "") -> list[Wrong]:
    return [Wrong(_path(below, error), error) for error in failure.errors(include_url=False)]


def _whole_sentence(first: Wrong, wrong: list[Wrong], whole: Whole) -> str:
    """Say what is wrong first, or all that is missing, and how much more is wrong."""
    missing = [
        finding.path[:LONGEST_VALUE] for finding in wrong if finding.error["type"] == "missing"
    ]
    if first.error["type"] == "missing" and len(missing) > 1:
        # Publishers would otherwise learn of one field with each try.
        sentence = f"{', '.join(missing[:-1])} and {missing[-1]} are missing: add them"
        others = len(wrong) - len(missing)
    else:
        sentence, others = _sentence(first, whole), len(wrong) - 1
    return f"{sentence} (and {others} more)" if others else sentence


def _path(below: str, error: ErrorDetails) -> str:
    # Pydantic adds the names of union members and validators, which are not fields of the event.
    names = [
        str(part)
        for part in error["loc"]
        if isinstance(part, int) or part.replace("_", "").isalnum()
    ]
    return ".".join([below, *names] if below else names)


def _sentence(wrong: Wrong, whole: Whole) -> str:
    path, error = wrong
    kind = error["type"]
    message = error["msg"].removeprefix("Value error, ")
    if kind == "json_invalid":
        return f"{whole.name} is not JSON: {message}; {whole.remedy}"
    if kind in _ABOUT_NAMES:
        return f"{path[:LONGEST_VALUE]} {_ABOUT_NAMES[kind]}"
    if kind == "model_type" and not path:
        return f"{whole.content} is JSON, but not an object: {whole.remedy}"
    if wrong.about_identity:
        return f"{path} is wrong: {message}"
    if kind == "value_error" and path == "data.response":
        return message
    subject = path[:LONGEST_VALUE] or whole.content
    return f"{subject} is {_shown(path, error['input'])}: {message[:1].lower()}{message[1:]}"


def _shown(path: str, value: object) -> str:
    """Return a value as a reason may quote it; a value that could hold a token is described."""
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else "a list"
    if path in ("data", "data.response"):
        return f"of type {type(value).__name__}"
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER:
        # Python refuses to write very long integers; the limit is a setting of the process.
        return "a number of very many digits"
    if isinstance(value, str) and _JWT in value:
        return "what looks like a token"
    text = repr(value[: LONGEST_VALUE + 1] if isinstance(value, str) else value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"
