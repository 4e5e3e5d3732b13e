"""Read the settings from the environment, ``.env`` and ``.env.$ENVIRONMENT``.

Nothing else reads the environment.
"""

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from workers.common.errors import SettingsError
from workers.config.production import unsafe
from workers.config.settings import Settings


def load_settings(directory: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings: defaults, ``.env``, ``.env.$ENVIRONMENT``, environment, overrides.

    Args:
        directory: where the ``.env`` files are; by default the working directory.
        overrides: settings given by the caller, by field name; they win.

    Raises:
        SettingsError: naming every setting that is wrong, and its remedy.
    """
    base = directory or Path.cwd()
    try:
        layers = _layers(base, overrides.get("environment"))
        settings = Settings(_env_file=layers, **overrides)
        wrong = unsafe(settings) if settings.environment == "production" else []
        if not wrong:
            return settings
    except ValidationError as error:
        wrong = [_explain(detail) for detail in error.errors(include_input=False)]
    except (OSError, UnicodeDecodeError) as error:
        wrong = [f"a .env file in {base} can't be read ({error}): make it readable UTF-8 text"]
    raise SettingsError("settings are wrong:\n  " + "\n  ".join(wrong))


def environment_name(directory: Path | None = None) -> str:
    """Read `ENVIRONMENT` alone, unchecked.

    Args:
        directory: see `load_settings`.
    """
    base = directory or Path.cwd()
    return os.environ.get("ENVIRONMENT") or _environment_of(base / ".env")


def _layers(base: Path, environment: str | None) -> tuple[Path, Path]:
    name = environment or environment_name(base)
    return base / ".env", base / f".env.{name}"


def _environment_of(file: Path) -> str:
    from dotenv import dotenv_values  # noqa: PLC0415  # a dependency of pydantic-settings

    return (dotenv_values(file).get("ENVIRONMENT") if file.is_file() else None) or "development"


def _explain(detail: ErrorDetails) -> str:
    variable = str(detail["loc"][0]) if detail["loc"] else ""
    text = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error" or variable not in Settings.model_fields:
        return text
    field = Settings.model_fields[variable]
    default = "" if field.default is None else f" for the default {field.default}"
    return (
        f"{variable.upper()}: {text[:1].lower()}{text[1:]} ({field.description}): correct it, or "
        f"leave it out{default}"
    )
