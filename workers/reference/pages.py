"""The reference in ``docs/``: settings, commands and events, made from the code."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import click
import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from workers.config.http import HttpSettings
from workers.config.settings import Settings
from workers.reference.asyncapi import EVENT_TYPES, event_schema

Schema = dict[str, Any]

_NOTE = "<!-- Made by `mastery asyncapi` from the code; edits here are lost. -->\n\n"


def settings_page() -> str:
    """The settings, one row each."""
    rows = [
        f"| `{name.upper()}` | {_default(field)} | {field.description or ''} |"
        for name, field in _of_http_last()
    ]
    return "\n".join(
        [
            _NOTE + "# Settings",
            "",
            "Read from defaults, `.env`, `.env.$ENVIRONMENT` and the environment; the later wins.",
            "`.env.example` lists them to copy.",
            "",
            "| variable | default | |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _of_http_last() -> Iterator[tuple[str, FieldInfo]]:
    fields = Settings.model_fields
    for inherited in (False, True):
        for name, field in fields.items():
            if (name in HttpSettings.model_fields) is inherited:
                yield name, field


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value == ():
        return "-" if SecretStr not in get_args(field.annotation) else "- (secret)"
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{value}`"


def commands_page(app: typer.Typer) -> str:
    """The help of every command, as the terminal shows it."""
    command = typer.main.get_command(app)
    parts = [_NOTE + "# Commands", ""]
    for path, one in _commands(command, "uv run mastery"):
        context = click.Context(one, info_name=path)
        text = _plain_help(one, context)
        parts += [f"## `{path}`", "", "```text", text, "```", ""]
    return "\n".join(parts)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, one in sorted(getattr(command, "commands", {}).items()):
        if hasattr(one, "commands"):
            yield from _commands(one, f"{path} {name}")
        else:
            yield f"{path} {name}", one


def _plain_help(command: Any, context: Any) -> str:
    usage = " ".join(part for part in command.collect_usage_pieces(context))
    lines = [f"{context.info_name} {usage}", "", (command.help or "").strip(), ""]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in record[0]:
            lines.append(f"  {record[0]:<34}{record[1]}".rstrip())
    return "\n".join(lines).rstrip()


def jobs_page(kinds: Mapping[str, tuple[str, type[BaseModel]]]) -> str:
    """Return the page of the job kinds, one row for each parameter.

    Args:
        kinds: a sentence and the parameters, by kind.
    """
    parts = [_NOTE + "# Jobs", ""]
    parts += ["All parameters are optional; an unknown one is refused.", ""]
    for name, (summary, parameters) in kinds.items():
        parts += [f"## {name}", "", summary, "", "| parameter | type | |", "|---|---|---|"]
        schema = parameters.model_json_schema()
        for parameter, part in schema["properties"].items():
            kind = _type(_resolved(_present(part), schema))
            parts.append(f"| `{parameter}` | {kind} | {_one_line(part['description'])} |")
        parts.append("")
    return "\n".join(parts)


def events_page() -> str:
    """The data of every event, one row a field."""
    parts = [_NOTE + "# Events", ""]
    parts += [
        "Each entry of a stream has one field, `event`: a CloudEvent 1.0 as JSON.",
        "The envelope is described in `asyncapi.yaml`; here is what is in `data`.",
        "",
    ]
    for event, event_type in EVENT_TYPES.items():
        schema = event_schema(event)
        parts += [f"## {event_type}", "", schema.get("description", ""), ""]
        parts += ["| field | type | required | |", "|---|---|---|---|"]
        data = schema["properties"]["data"]
        parts += [*_fields(data, schema, "")]
        parts.append("")
    return "\n".join(parts)


def _fields(schema: Schema, root: Schema, prefix: str) -> Iterator[str]:
    resolved = _resolved(schema, root)
    required = set(resolved.get("required", ()))
    for name, part in resolved.get("properties", {}).items():
        inner = _resolved(_present(part), root)
        text = part.get("description") or inner.get("description", "")
        must = "yes" if name in required else ""
        yield f"| `{prefix}{name}` | {_type(inner)} | {must} | {_one_line(text)} |"
        if inner.get("properties"):
            yield from _fields(inner, root, f"{prefix}{name}.")


def _present(schema: Schema) -> Schema:
    """The schema of a value that is there, where null is allowed too."""
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return options[0] if len(options) == 1 else schema


def _resolved(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Schema = root["$defs"][reference.rsplit("/", 1)[1]]
    return found


def _type(schema: Schema) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(_present(one)) for one in schema["anyOf"])
    kind = schema.get("format") or schema.get("type", "any")
    return f"{kind} of {_type(schema['items'])}" if kind == "array" else str(kind)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
