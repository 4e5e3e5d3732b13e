"""All settings of the engine, from the environment, ``.env`` and ``.env.$ENVIRONMENT``.

Nothing else reads the environment.
"""

import os
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict

from workers.common.errors import SettingsError
from workers.common.rate_limit import RateLimit
from workers.config.http import HttpSettings, Names, names
from workers.config.production import unsafe
from workers.config.schedule import ScheduleSettings
from workers.config.tokens import algorithms_of, contradictions

Environment = Literal["development", "staging", "production"]

_REDIS_SCHEMES = ("redis", "rediss", "unix")
_POSTGRES_SCHEMES = ("postgresql", "postgres")
_NEO4J_SCHEMES = ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")


def _url(value: str | None, schemes: tuple[str, ...], variable: str) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        complete = bool(parts.hostname or (parts.scheme == "unix" and parts.path))
        _ = parts.port
    except ValueError:
        # Why exactly would quote the URL, and with it perhaps a password.
        parts, complete = urlsplit(""), False
    if parts.scheme not in schemes or not complete:
        wanted = ", ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(
            f"{variable} must be a URL with a host, and a port that is a number if any, that "
            f"begins with {wanted}; write / @ : of a password as %2F %40 %3A"
        )
    return value


class Settings(HttpSettings, ScheduleSettings):
    """The settings of one process; see ``.env.example`` for the same list with examples."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    environment: Environment = Field(
        "development", description="`development`, `staging` or `production`"
    )

    redis_url: str | None = Field(
        None,
        repr=False,
        description="`redis://` or `rediss://`; unset: an embedded Redis inside the process",
    )
    stream_shards: int = Field(
        0, ge=0, le=1024, description="streams per kind; 0: one, under the plain name"
    )
    batch_size: int = Field(500, ge=1, le=10_000, description="entries read at once")
    max_deliveries: int = Field(
        5, ge=1, le=100, description="tries alone after which an entry is `poison`"
    )
    reclaim_after_ms: int = Field(
        30_000, ge=100, description="a pending entry idle for longer is claimed, milliseconds"
    )
    stream_keep: int = Field(
        100_000,
        ge=0,
        description="newest entries of the mastery stream that are kept for late subscribers",
    )
    stream_retention_s: int = Field(
        604_800,
        ge=1,
        description="how long the mastery stream keeps what a group has not acked, seconds",
    )
    max_event_bytes: int = Field(65_536, ge=1024, description="largest entry accepted, bytes")
    max_token_bytes: int = Field(8_192, ge=256, description="largest token accepted, bytes")
    max_queue_age_s: int = Field(
        604_800,
        ge=60,
        description="an entry that waited for longer is refused and can be redriven, seconds; as "
        "long a retired key serves what is older than its retirement",
    )
    consumer_name: str | None = Field(
        None, description="name within the group; unset: host name and a free slot on this host"
    )

    supabase_url: str | None = Field(
        None, description="the ledger over Supabase's REST API; unset: an embedded Postgres"
    )
    supabase_service_role_key: SecretStr | None = Field(
        None, description="the service role's key; required with `SUPABASE_URL`"
    )
    database_url: SecretStr | None = Field(
        None, description="the ledger over a direct Postgres connection; wins over `SUPABASE_URL`"
    )
    ledger_timeout_s: float = Field(
        15.0, gt=0, le=600, description="limit of one call of the ledger, seconds"
    )

    neo4j_uri: str | None = Field(None, description="unset: an embedded graph")
    neo4j_username: str = Field("neo4j", description="user of the graph")
    neo4j_password: SecretStr | None = Field(
        None, description="its password; required with `NEO4J_URI`"
    )
    neo4j_database: str | None = Field(None, description="unset: the server's default database")

    embedded_directory: Path | None = Field(
        None, description="where embedded servers keep their data; unset: gone with the process"
    )

    jwt_mode: Literal["verify", "trust"] | None = Field(
        None,
        description="`verify`: the token of each event is verified; `trust`: the publisher has "
        "verified it, its claims are checked here; unset: `verify` where a key is set, else "
        "`trust`, which must be said in production",
    )
    jwt_jwks_url: str | None = Field(
        None,
        repr=False,
        description="where the issuer publishes its keys (a JWK set), `https://`; with it, or "
        "with `JWT_SECRET`, tokens are verified",
    )
    jwt_secret: SecretStr | None = Field(None, description="the secret of HS256, at least 32 bytes")
    jwt_algorithms: Names = Field(
        (), description="algorithms that tokens may use; unset: by the type of the keys"
    )
    jwt_issuer: str | None = Field(None, description="the only issuer whose claims count")
    jwt_audience: str = Field("authenticated", description="the audience claims must name")
    jwt_tenant_claim: str = Field(
        "tenant_id", description="dotted path of the claim that names the tenant"
    )
    jwt_delegate_roles: Names = Field(
        ("service_role",), description="roles that may report for students of their tenant"
    )

    rate_limit: str = Field(
        "600/minute",
        description="most responses of a student that may enter in a window of time: `N/second`, "
        "`N/minute` or `N/hour`; `off`: any number; delegated roles are exempt",
    )

    mastery_threshold: float = Field(
        0.95, gt=0, lt=1, description="mastery from which a concept counts as mastered"
    )

    strict: bool = Field(
        False,
        description="items and concepts must be registered (`mastery concepts import`); a response "
        "that names others is `not_found`",
    )

    plaintext_hosts: Names = Field(
        (),
        description="hosts on a network that nobody else can reach: production allows plain text "
        "to them",
    )

    log_format: Literal["json", "console"] | None = Field(
        None, description="unset: `json` outside a terminal"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="`DEBUG` adds a line for each event"
    )

    @field_validator("jwt_delegate_roles", "jwt_algorithms", "plaintext_hosts", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        return names(value)

    @field_validator("jwt_tenant_claim")
    @classmethod
    def _tenant_path(cls, value: str) -> str:
        if not all(value.split(".")):
            raise ValueError("JWT_TENANT_CLAIM must be a dotted path such as app_metadata.tenant")
        return value

    @field_validator("rate_limit")
    @classmethod
    def _rate(cls, value: str) -> str:
        RateLimit.parse(value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, value: str | None) -> str | None:
        if value and value.startswith("redis+cluster://"):
            raise ValueError(
                "REDIS_URL: Redis Cluster is not supported by this version; give a redis:// URL"
            )
        return _url(value, _REDIS_SCHEMES, "REDIS_URL")

    @field_validator("supabase_url")
    @classmethod
    def _supabase_scheme(cls, value: str | None) -> str | None:
        return _url(value, ("https", "http"), "SUPABASE_URL")

    @field_validator("jwt_jwks_url")
    @classmethod
    def _jwks_scheme(cls, value: str | None) -> str | None:
        return _url(value, ("https", "http"), "JWT_JWKS_URL")

    @field_validator("neo4j_uri")
    @classmethod
    def _neo4j_scheme(cls, value: str | None) -> str | None:
        return _url(value, _NEO4J_SCHEMES, "NEO4J_URI")

    @field_validator("database_url")
    @classmethod
    def _postgres_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _url(value.get_secret_value(), _POSTGRES_SCHEMES, "DATABASE_URL")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        wrong = [*self._incomplete(), *contradictions(self)]
        if self.environment == "production":
            wrong += unsafe(self)
        if wrong:
            raise ValueError("\n  ".join(wrong))
        return self

    def _incomplete(self) -> list[str]:
        wrong = []
        if self.supabase_url and not self.supabase_service_role_key:
            wrong.append("SUPABASE_URL is set without SUPABASE_SERVICE_ROLE_KEY: set both")
        if self.supabase_service_role_key and not (self.supabase_url or self.database_url):
            wrong.append("SUPABASE_SERVICE_ROLE_KEY is set without SUPABASE_URL: set both")
        if self.neo4j_uri and not self.neo4j_password:
            wrong.append("NEO4J_URI is set without NEO4J_PASSWORD: set both")
        if self.neo4j_password and not self.neo4j_uri:
            wrong.append("NEO4J_PASSWORD is set without NEO4J_URI: set both")
        return wrong

    @property
    def verifies_tokens(self) -> bool:
        """Whether the tokens of events are verified here."""
        if self.jwt_mode is None:
            return self.jwt_jwks_url is not None or self.jwt_secret is not None
        return self.jwt_mode == "verify"

    @property
    def token_algorithms(self) -> tuple[str, ...]:
        """The algorithms that tokens may use."""
        return algorithms_of(self)


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
        return Settings(_env_file=layers, **overrides)
    except ValidationError as error:
        wrong = [_explain(detail) for detail in error.errors(include_input=False)]
    except (OSError, UnicodeDecodeError) as error:
        wrong = [f"a .env file in {base} can't be read ({error}): make it readable UTF-8 text"]
    raise SettingsError("settings are wrong:\n  " + "\n  ".join(wrong))


def _layers(base: Path, environment: str | None) -> tuple[Path, Path]:
    name = environment or os.environ.get("ENVIRONMENT") or _environment_of(base / ".env")
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
