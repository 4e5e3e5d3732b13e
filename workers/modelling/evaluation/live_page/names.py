"""Names in the tables and figures about stored predictions."""

from typing import Final

STORED: Final = "stored"
"""Name of the stored mastery."""


def version_name(version: int) -> str:
    """Name a version of the parameters."""
    return f"version {version}"
