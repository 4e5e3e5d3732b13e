"""Load settings and configure logs at the start of a command."""

from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.config.settings import Settings


def set_up() -> Settings:
    """Load the settings and configure the logs accordingly.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    return settings
