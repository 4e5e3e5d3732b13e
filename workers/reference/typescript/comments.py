"""TSDoc comments with the facts of a JSON Schema that no TypeScript type expresses."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_WIDTH: Final = 100
_FORMATS: Final = {
    "uuid": "A UUID in its 36 characters.",
    "date-time": "An RFC 3339 time with a zone.",
}

_PATTERNS: Final = {r"^[^\x00-\x1f\x7f-\x9f]+$": "No control characters."}


def comment(schema: Schema, indent: str = "") -> list[str]:
    """Return the lines of the comment for a type or a property; empty without facts.

    Args:
        schema: the schema of the type or property.
        indent: the prefix of each line.
    """
    text = schema.get("description", "").replace("``", "`")
    *before, last = [" ".join(part.split()) for part in text.split("\n\n")]
    paragraphs = [*before, " ".join([last, *_facts(schema)]).strip()]
    # A default of null equals an absent field, which `?` expresses already.
    if schema.get("default") is not None:
        paragraphs.append(f"@defaultValue {_code(schema['default'])}")
    if schema.get("deprecated"):
        paragraphs.append("@deprecated")
    return _framed(
        [paragraph.replace("*/", "*\\/") for paragraph in paragraphs if paragraph], indent
    )


def _framed(paragraphs: list[str], indent: str) -> list[str]:
    lines: list[str] = []
    for paragraph in paragraphs:
        if lines and not paragraph.startswith("@"):
            lines.append("")
        lines += textwrap.wrap(
            paragraph,
            _WIDTH - len(indent) - len(" * "),
            break_long_words=False,
            break_on_hyphens=False,
        )
    if not lines:
        return []
    if len(lines) == 1 and len(indent) + len(lines[0]) + len("/**  */") <= _WIDTH:
        return [f"{indent}/** {lines[0]} */"]
    return [
        f"{indent}/**",
        *(f"{indent} * {line}".rstrip() for line in lines),
        f"{indent} */",
    ]


def _facts(schema: Schema) -> Iterator[str]:
    """Yield sentences about constraints that no TypeScript type expresses."""
    members = [member for member in schema.get("anyOf", ()) if member.get("type") != "null"]
    if len(members) == 1:
        yield from _facts(members[0])
    for member in members if len(members) > 1 else ():
        facts = " ".join(_facts(member))
        if facts:
            yield f"As {member['type']}: {facts}"
    if schema.get("type") == "integer" and not {"const", "enum"} & schema.keys():
        yield "An integer."
    if "format" in schema:
        yield _FORMATS.get(schema["format"], f"Of the format `{schema['format']}`.")
    yield from _bounds(schema, "minimum", "maximum", "")
    yield from _bounds(schema, "minLength", "maxLength", " characters")
    yield from _bounds(schema, "minItems", "maxItems", " items")
    yield from _particulars(schema)


def _particulars(schema: Schema) -> Iterator[str]:
    for keyword, words in (("exclusiveMinimum", "Above"), ("exclusiveMaximum", "Below")):
        if keyword in schema:
            yield f"{words} {_number(schema[keyword])}."
    # The format describes the value better than its pattern.
    if "pattern" in schema and "format" not in schema:
        yield _PATTERNS.get(schema["pattern"], f"Matches `{schema['pattern']}`.")
    if schema.get("uniqueItems"):
        yield "All distinct."
    item_facts = " ".join(_facts(schema["items"])) if "items" in schema else ""
    if item_facts:
        yield f"Each item: {item_facts}"
    if schema.get("examples"):
        yield f"Such as {_code(schema['examples'][0])}."


def _bounds(schema: Schema, least: str, most: str, unit: str) -> Iterator[str]:
    if least in schema and most in schema:
        yield f"{_number(schema[least])} to {_number(schema[most])}{unit}."
    elif least in schema:
        yield f"{_number(schema[least])}{unit if schema[least] != 1 else unit[:-1]} or more."
    elif most in schema:
        yield f"{_number(schema[most])}{unit if schema[most] != 1 else unit[:-1]} at most."


def _number(value: float) -> str:
    return f"{int(value)}" if value == int(value) else f"{value}"


def _code(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"
