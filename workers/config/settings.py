"""Settings of one process, with their checks; `loading` reads them."""

from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from contracts.streams import MOST_SHARDS
from workers.common.postgres_dsn import address
from workers.common.rate_limit import RateLimit
from workers.config.hosts import CLUSTER_SCHEMES, checked_url, is_cluster_url, plain_text_host
from workers.config.http import HttpSettings, Names, names
from workers.config.schedule import ScheduleSettings
from workers.config.tokens import TokenSettings

Environment = Literal["development", "staging", "production"]

_REDIS_SCHEMES = ("redis", "rediss", "unix", *CLUSTER_SCHEMES)
_POSTGRES_SCHEMES = ("postgresql", "postgres")
_NEO4J_SCHEMES = ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")


class Settings(HttpSettings, ScheduleSettings, TokenSettings):
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
        description="`redis://` or `rediss://`; a Redis Cluster: "
        "`redis+cluster://HOST:PORT,HOST:PORT` or `rediss+cluster://`; unset: an embedded Redis "
        "inside the process",
    )
    stream_shards: int = Field(
        0,
        ge=0,
        le=MOST_SHARDS,
        description="streams per kind; 0: one, under the plain name; a Redis Cluster "
        "needs 1 or more",
    )
    batch_size: int = Field(
        500,
        ge=1,
        le=10_000,
        description="entries read at once; the role graph reads four times as many, 2,000 at most "
        "unless this says more",
    )
    max_deliveries: int = Field(
        5, ge=1, le=100, description="tries alone after which an entry is `poison`"
    )
    reclaim_after_ms: int = Field(
        30_000,
        ge=100,
        description="idle time after which another worker claims a pending entry, milliseconds",
    )
    stream_keep: int = Field(
        100_000,
        ge=0,
        description="newest entries of the mastery stream that are kept for late subscribers",
    )
    stream_retention_s: int = Field(
        604_800,
        ge=1,
        description="longest time the mastery stream keeps an entry that a group has not "
        "acknowledged, seconds",
    )
    max_event_bytes: int = Field(65_536, ge=1024, description="largest entry accepted, bytes")
    max_token_bytes: int = Field(8_192, ge=256, description="largest token accepted, bytes")
    max_queue_age_s: int = Field(
        604_800,
        ge=60,
        description="longest time an entry may wait, seconds; an older entry is refused and can be "
        "redriven; for as long a retired key verifies entries from before its retirement",
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
        None,
        description="the ledger over a direct Postgres connection; wins over `SUPABASE_URL`; "
        "`pgbouncer=true` in its query: through a transaction pooler, as port 6543 always is",
    )
    database_replica_url: SecretStr | None = Field(
        None,
        description="a streaming replica of `DATABASE_URL`, from which `mastery verify`, "
        "`mastery evaluate --live` and `mastery learner export` read; unset: the primary",
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
        None, description="where embedded servers keep their data; unset: a temporary place"
    )

    rate_limit: str = Field(
        "600/minute",
        description="most responses of a student per window of time: `N/second`, "
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

    @field_validator("plaintext_hosts", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        return names(value)

    @field_validator("rate_limit")
    @classmethod
    def _rate(cls, value: str) -> str:
        RateLimit.parse(value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, value: str | None) -> str | None:
        return checked_url(value, _REDIS_SCHEMES, "REDIS_URL")

    @field_validator("supabase_url")
    @classmethod
    def _supabase_scheme(cls, value: str | None) -> str | None:
        return checked_url(value, ("https", "http"), "SUPABASE_URL")

    @field_validator("neo4j_uri")
    @classmethod
    def _neo4j_scheme(cls, value: str | None) -> str | None:
        return checked_url(value, _NEO4J_SCHEMES, "NEO4J_URI")

    @field_validator("database_url")
    @classmethod
    def _postgres_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _checked_dsn(value.get_secret_value(), "DATABASE_URL")
        return value

    @field_validator("database_replica_url")
    @classmethod
    def _replica_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _checked_dsn(value.get_secret_value(), "DATABASE_REPLICA_URL")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        wrong = [
            *self._incomplete(),
            *self._cluster(),
            *self.contradictory_tokens(),
            *self._plain_text_keys(),
        ]
        if wrong:
            raise ValueError("\n  ".join(wrong))
        return self

    def _plain_text_keys(self) -> list[str]:
        url = self.jwt_jwks_url
        if url is None or self.environment == "development":
            return []
        host = plain_text_host(url, self.plaintext_hosts)
        if host is None:
            return []
        wrong = (
            f"JWT_JWKS_URL fetches keys in plain text from {host}: use https://, or whoever is "
            "between can put in keys of their own"
        )
        return [wrong]

    @property
    def redis_cluster(self) -> bool:
        """True if the Redis is a Redis Cluster."""
        return is_cluster_url(self.redis_url)

    def _cluster(self) -> list[str]:
        if not self.redis_cluster:
            return []
        wrong = []
        if not self.stream_shards:
            wrong.append(
                "STREAM_SHARDS is 0: on a Redis Cluster set it to 1 or more, here and for those "
                "who publish and subscribe, since streams under the plain names share no slot"
            )
        if urlsplit(self.redis_url or "").path not in {"", "/", "/0"}:
            wrong.append(
                "REDIS_URL names a database: a Redis Cluster has only number 0; leave it out"
            )
        return wrong

    def _incomplete(self) -> list[str]:
        wrong = []
        if self.supabase_url and not self.supabase_service_role_key:
            wrong.append("SUPABASE_URL is set without SUPABASE_SERVICE_ROLE_KEY: set both")
        if self.supabase_service_role_key and not (self.supabase_url or self.database_url):
            wrong.append("SUPABASE_SERVICE_ROLE_KEY is set without SUPABASE_URL: set both")
        if self.database_replica_url and not self.database_url:
            wrong.append(
                "DATABASE_REPLICA_URL is set without DATABASE_URL, which tells how far the replica "
                "must be: set both"
            )
        if self.neo4j_uri and not self.neo4j_password:
            wrong.append("NEO4J_URI is set without NEO4J_PASSWORD: set both")
        if self.neo4j_password and not self.neo4j_uri:
            wrong.append("NEO4J_PASSWORD is set without NEO4J_URI: set both")
        return wrong


def _checked_dsn(dsn: str, variable: str) -> None:
    checked_url(dsn, _POSTGRES_SCHEMES, variable)
    try:
        address(dsn)
    except ValueError as error:
        raise ValueError(f"{variable} can't be used: {error}; correct it") from None
