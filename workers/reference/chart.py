"""The settings that the Helm chart takes, for its checks."""

import json
from typing import Final, get_args

from pydantic import SecretStr

from workers.config.settings import Settings

_SECRET_URLS: Final = frozenset(("redis_url",))
"""Settings of plain text that hold a password."""
_OF_THE_CHART: Final = frozenset(
    (
        "http_host", "http_port", "http_inner_host", "http_inner_port",
        # Pods of one Deployment would share it.
        "consumer_name",
        # Embedded servers end with their pod.
        "embedded_directory",
    )
)  # fmt: skip


def chart_settings() -> str:
    """Write the kind of each setting as JSON: ``plain``, ``secret``, or ``chart`` (it sets it)."""
    kinds = {name.upper(): _kind(name) for name in sorted(Settings.model_fields)}
    return json.dumps(kinds, indent=2) + "\n"


def _kind(name: str) -> str:
    if name in _OF_THE_CHART:
        return "chart"
    annotation = Settings.model_fields[name].annotation
    secret = annotation is SecretStr or SecretStr in get_args(annotation)
    return "secret" if secret or name in _SECRET_URLS else "plain"
