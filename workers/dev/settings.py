"""Settings of `mastery dev`: embedded servers, the loopback address and the development issuer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from workers.common.errors import SettingsError
from workers.config.http import ANY_ORIGIN
from workers.config.loading import environment_name, load_settings
from workers.config.settings import Settings
from workers.dev.issuer import ALGORITHM, AUDIENCE, ISSUER, TENANT_CLAIM
from workers.dev.ports import LOOPBACK, free_port

_DEVELOPMENT: Final = "development"
KEY_SET_PATH: Final = "/dev/jwks.json"

_FIXED: Final[Mapping[str, Any]] = {
    "environment": _DEVELOPMENT,
    "redis_url": None,
    "stream_shards": 0,
    "supabase_url": None,
    "supabase_service_role_key": None,
    "database_url": None,
    "database_replica_url": None,
    "neo4j_uri": None,
    "neo4j_password": None,
    "http_host": LOOPBACK,
    "http_inner_port": None,
    "http_trusted_proxies": (),
    "jwt_mode": "verify",
    "jwt_secret": None,
    "jwt_algorithms": (ALGORITHM,),
    "jwt_issuer": ISSUER,
    "jwt_audience": AUDIENCE,
    "jwt_tenant_claim": TENANT_CLAIM,
}
"""Overrides the environment: no server of the user's own, and nothing beyond this machine."""


def require_development() -> None:
    """Refuse to make tokens and demo students anywhere but in development.

    Raises:
        SettingsError: `ENVIRONMENT` is another one.
    """
    name = environment_name()
    if name != _DEVELOPMENT:
        raise SettingsError(
            f"ENVIRONMENT is {name}: the development servers and their issuer are for your own "
            "machine; unset ENVIRONMENT, or run `mastery worker`"
        )


def development_settings(directory: Path | None) -> Settings:
    """Load the settings of a worker on embedded servers; `redis_url` is still unset.

    The HTTP port is `HTTP_PORT`; the default port gives way to any free one if it is in use.

    Args:
        directory: where the servers keep their data; None for `EMBEDDED_DIRECTORY`.

    Raises:
        SettingsError: a setting is wrong, or this is not development.
    """
    require_development()
    fixed = dict(_FIXED)
    if directory is not None:
        fixed["embedded_directory"] = directory
    loaded = load_settings(**fixed, jwt_jwks_url=_key_set_url(0))
    chosen = "http_port" in loaded.model_fields_set and loaded.http_port
    port = loaded.http_port if chosen else free_port(loaded.http_port)
    named = [o for o in loaded.cors_allowed_origins if o != ANY_ORIGIN]
    return load_settings(
        **fixed,
        http_port=port,
        jwt_jwks_url=_key_set_url(port),
        cors_allowed_origins=(*own_origins(port), *named),
    )


def _key_set_url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}{KEY_SET_PATH}"


def own_origins(port: int) -> tuple[str, ...]:
    """Return the origins under which a browser on this machine reaches the worker."""
    return tuple(f"http://{host}" for host in own_hosts(port))


def own_hosts(port: int) -> tuple[str, ...]:
    """Return the `Host` headers of requests to the worker."""
    return tuple(f"{name}:{port}" for name in (LOOPBACK, "localhost"))
