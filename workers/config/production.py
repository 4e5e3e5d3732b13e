"""Defaults that production refuses, because they are safe only on one's own machine."""

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from workers.config.hosts import plain_text_host
from workers.config.http import ANY_ORIGIN

if TYPE_CHECKING:
    from workers.config.settings import Settings

_SHORTEST_PASSWORD: Final = 8
_KNOWN: Final = frozenset(
    (
        "admin", "administrator", "change-me", "change_me", "changeit", "changeme", "default",
        "foobared", "letmein", "mastery", "mysecretpassword", "neo4j", "passw0rd", "password",
        "password1", "password123", "postgres", "postgresql", "qwerty123", "redis", "root",
        "secret", "supabase", "test", "12345678", "123456789", "1234567890",
        # Values in Supabase's examples.
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "your-super-secret-and-long-postgres-password",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
    )
)  # fmt: skip
_DEMONSTRATION: Final = "eyJpc3MiOiJzdXBhYmFzZS1kZW1v"
"""Start of the claims of Supabase's demonstration keys, which are public."""
_NO_ISSUER: Final = (
    "JWT_ISSUER is unset: production takes no token of just any issuer; set it to the `iss` of "
    "your tokens, such as https://project.supabase.co/auth/v1"
)
_ANY_PAGE: Final = (
    "CORS_ALLOWED_ORIGINS is *: production lets no page of just anybody call; list the origins, "
    "such as https://app.example"
)
_NO_MODE: Final = (
    "JWT_MODE is unset: set JWT_JWKS_URL or JWT_SECRET, so that tokens are verified, or say "
    "JWT_MODE=trust if the publisher has verified each token"
)


def unsafe(settings: "Settings") -> list[str]:
    """List settings that are unsafe for production, each with its remedy, without its value."""
    return [
        *_embedded(settings),
        *_tokens(settings),
        *_any_page(settings),
        *_plain_text(settings),
        *_weak(settings),
    ]


def _embedded(settings: "Settings") -> list[str]:
    wrong = []
    if not settings.redis_url:
        wrong.append("REDIS_URL is unset: production does not run on an embedded Redis; set it")
    if not (settings.supabase_url or settings.database_url):
        wrong.append(
            "SUPABASE_URL and DATABASE_URL are unset: production does not run on an "
            "embedded Postgres; set one"
        )
    if not settings.neo4j_uri:
        wrong.append("NEO4J_URI is unset: production does not run on an embedded graph; set it")
    return wrong


def _tokens(settings: "Settings") -> list[str]:
    keyed = bool(settings.jwt_jwks_url or settings.jwt_secret)
    if keyed and settings.jwt_issuer is None:
        # In every mode, because HTTP and sockets always verify tokens.
        return [_NO_ISSUER]
    if settings.jwt_mode is None and not keyed:
        return [_NO_MODE]
    return []


def _any_page(settings: "Settings") -> list[str]:
    return [_ANY_PAGE] if ANY_ORIGIN in settings.cors_allowed_origins else []


def _plain_text(settings: "Settings") -> list[str]:
    database, replica = settings.database_url, settings.database_replica_url
    encrypt = "add sslmode=verify-full (or require) to its query"
    wrong = []
    for variable, url, remedy in (
        ("REDIS_URL", settings.redis_url, "use rediss://"),
        ("SUPABASE_URL", settings.supabase_url, "use https://"),
        (
            "DATABASE_URL",
            None if database is None else database.get_secret_value(),
            encrypt,
        ),
        (
            "DATABASE_REPLICA_URL",
            None if replica is None else replica.get_secret_value(),
            encrypt,
        ),
        ("NEO4J_URI", settings.neo4j_uri, "use neo4j+s:// or bolt+s://"),
    ):
        host = None if url is None else plain_text_host(url, settings.plaintext_hosts)
        if host is not None:
            wrong.append(
                f"{variable} connects in plain text to {host}: {remedy}; or, if nobody else can "
                "reach the network between, name the host in PLAINTEXT_HOSTS"
            )
    return wrong


def _weak(settings: "Settings") -> list[str]:
    database, key = settings.database_url, settings.supabase_service_role_key
    replica = settings.database_replica_url
    secrets = {
        "JWT_SECRET": settings.jwt_secret and settings.jwt_secret.get_secret_value(),
        "SUPABASE_SERVICE_ROLE_KEY": key and key.get_secret_value(),
        "NEO4J_PASSWORD": settings.neo4j_password and settings.neo4j_password.get_secret_value(),
        "REDIS_URL": settings.redis_url and _password(settings.redis_url),
        "DATABASE_URL": database and _password(database.get_secret_value()),
        "DATABASE_REPLICA_URL": replica and _password(replica.get_secret_value()),
    }
    return [
        f"{variable} holds a secret that is easily guessed ({why}): make another, such as "
        "`openssl rand -hex 32` does"
        for variable, secret in secrets.items()
        if secret and (why := _weakness(secret))
    ]


def _password(url: str) -> str | None:
    password = urlsplit(url).password
    return None if password is None else unquote(password)


def _weakness(secret: str) -> str | None:
    if secret.lower() in _KNOWN:
        return "a known default"
    if _DEMONSTRATION in secret:
        return "the key of a demonstration"
    if secret in (secret + secret)[1:-1]:
        return "one text repeated"
    if len(secret) < _SHORTEST_PASSWORD:
        return f"shorter than {_SHORTEST_PASSWORD} characters"
    return None
