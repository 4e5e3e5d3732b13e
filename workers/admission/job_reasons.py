"""What is wrong with a request for a job, as a sentence that names field, value and remedy."""

from typing import Final, NamedTuple

from pydantic import ValidationError

_LONGEST_VALUE: Final = 80
_LONGEST_INTEGER: Final = 256
_SECRET: Final = ("data.claims", "data.token")


class Explanation(NamedTuple):
    """The first thing wrong."""

    field: str
    """Its path; empty: the whole."""
    sentence: str


def explain(error: ValidationError, below: str = "") -> Explanation:
    """The first thing wrong.

    Args:
        error: pydantic's.
        below: the path of what was validated.
    """
    wrong = error.errors(include_url=False)
    first = wrong[0]
    names = [
        str(part)
        for part in first["loc"]
        # Pydantic adds the names of union members and validators; they are no fields.
        if isinstance(part, int) or part.replace("_", "").isalnum()
    ]
    path = ".".join(([below] if below else []) + names)[:_LONGEST_VALUE]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        sentence = f"this is no JSON: {message}; send one JSON object in UTF-8"
    elif first["type"] == "missing":
        sentence = f"{path} is missing: add it"
    elif first["type"] == "extra_forbidden":
        sentence = f"{path} is unknown: leave it out"
    elif path.startswith(_SECRET):
        # What claims and tokens say stays out of reasons and logs.
        sentence = f"{path} is wrong: {message}"
    else:
        subject = f"{path} is" if path else "this is"
        sentence = f"{subject} {_shown(first['input'])}: {message[:1].lower()}{message[1:]}"
    return Explanation(path, sentence + more)


def _shown(value: object) -> str:
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER:
        # Python refuses to write very long ones, and how long is a setting of the process.
        return "a number of very many digits"
    text = repr(value[: _LONGEST_VALUE + 1] if isinstance(value, str) else value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
