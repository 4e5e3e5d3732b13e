"""An environment without settings, as for the settings themselves."""

from tests.unit.config.conftest import clean_environment

__all__ = ["clean_environment"]
