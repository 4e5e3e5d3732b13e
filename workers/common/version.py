"""The version of the engine."""

from importlib.metadata import version

DISTRIBUTION = "mastery-engine"


def package_version() -> str:
    """Return the version of the installed distribution, such as ``0.1.0``."""
    return version(DISTRIBUTION)
