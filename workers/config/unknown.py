"""Find names in the environment and the ``.env`` files that look like settings and are none."""

import os
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Final, NamedTuple

from workers.config.loading import files_of
from workers.config.settings import Settings

_ALIKE: Final = 0.8
"""Similarity by `difflib` from which a name counts as a misspelt setting: `REDIS_URI` has .89."""


class UnknownSetting(NamedTuple):
    """A name that is not a setting."""

    name: str
    place: str
    """The file, or ``the environment``."""
    meant: str | None
    """The setting with the most similar name; None if none is similar."""

    def __str__(self) -> str:
        """One line for a person."""
        remedy = f"did you mean {self.meant}?" if self.meant else "it has no effect"
        return f"{self.name} in {self.place} is not a setting: {remedy}"


def unknown_settings(
    directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[UnknownSetting]:
    """Yield unknown names: all of the files, and of the environment those like a setting.

    The environment belongs to all programs of a machine, the files to this one.

    Args:
        directory: where the ``.env`` files are; by default the working directory.
        environment: the environment; None for that of the process.
    """
    from dotenv import dotenv_values  # noqa: PLC0415  # a dependency of pydantic-settings

    for path in files_of(directory):
        if path.is_file():
            for name in dotenv_values(path, interpolate=False):
                if (unknown := _unknown(name, path.name)) is not None:
                    yield unknown
    for name in sorted(os.environ if environment is None else environment):
        unknown = _unknown(name, "the environment")
        if unknown is not None and unknown.meant is not None:
            yield unknown


def _unknown(name: str, place: str) -> UnknownSetting | None:
    # Names of settings are read in any case.
    known = [field.upper() for field in Settings.model_fields]
    if name.upper() in known:
        return None
    return UnknownSetting(name, place, _meant(name.upper(), known))


def _meant(name: str, known: Sequence[str]) -> str | None:
    alike = {setting: SequenceMatcher(None, name, setting).ratio() for setting in known}
    alike = {
        setting: ratio
        for setting, ratio in alike.items()
        # TEST_REDIS_URL has a prefix on purpose.
        if ratio >= _ALIKE and not name.endswith(f"_{setting}")
    }
    # NEO4J_USER is as like NEO4J_URI as NEO4J_USERNAME.
    begun = [setting for setting in alike if setting.startswith(name) or name.startswith(setting)]
    return max(begun or alike, key=alike.__getitem__, default=None)
