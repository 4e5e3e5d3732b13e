"""What has to hold between the settings that say which tokens count."""

from typing import TYPE_CHECKING, Final

from workers.common.jwt_algorithms import (
    DEFAULT_KEY_ALGORITHMS,
    KEY_ALGORITHMS,
    SECRET_ALGORITHMS,
)
from workers.config.hosts import plain_text_host

if TYPE_CHECKING:
    from workers.config.settings import Settings

SHORTEST_SECRET_BYTES: Final = 32
"""Of HS256: as long as its hash (RFC 7518, section 3.2)."""


def algorithms_of(settings: "Settings") -> tuple[str, ...]:
    """The algorithms that tokens may use: those that are said, else by the type of the keys."""
    if settings.jwt_algorithms:
        return settings.jwt_algorithms
    return (DEFAULT_KEY_ALGORITHMS if settings.jwt_jwks_url else ()) + (
        SECRET_ALGORITHMS if settings.jwt_secret else ()
    )


def contradictions(settings: "Settings") -> list[str]:
    """What is wrong with the settings of tokens, each with its remedy."""
    wrong = []
    named = settings.jwt_algorithms
    unknown = sorted({*named} - {*KEY_ALGORITHMS, *SECRET_ALGORITHMS})
    if unknown:
        wrong.append(
            f"JWT_ALGORITHMS names {', '.join(unknown)}: name some of "
            f"{', '.join((*KEY_ALGORITHMS, *SECRET_ALGORITHMS))}"
        )
    if settings.jwt_mode == "verify" and not (settings.jwt_jwks_url or settings.jwt_secret):
        wrong.append(
            "JWT_MODE=verify has no key to verify with: set JWT_JWKS_URL (an issuer's key set) or "
            "JWT_SECRET (of HS256)"
        )
    if settings.jwt_secret is not None:
        length = len(settings.jwt_secret.get_secret_value().encode())
        if length < SHORTEST_SECRET_BYTES:
            wrong.append(
                f"JWT_SECRET has {length} bytes: HS256 needs a random secret of at least "
                f"{SHORTEST_SECRET_BYTES}, such as `openssl rand -hex 32` makes"
            )
    if named and not unknown:
        wrong += _unused(settings, named)
    url = settings.jwt_jwks_url
    if url is not None and settings.environment != "development":
        host = plain_text_host(url, settings.plaintext_hosts)
        if host is not None:
            wrong.append(
                f"JWT_JWKS_URL fetches keys in plain text from {host}: use https://, or whoever "
                "is between can put in keys of their own"
            )
    return wrong


def _unused(settings: "Settings", named: tuple[str, ...]) -> list[str]:
    wrong = []
    for variable, value, kind in (
        ("JWT_SECRET", settings.jwt_secret, SECRET_ALGORITHMS),
        ("JWT_JWKS_URL", settings.jwt_jwks_url, KEY_ALGORITHMS),
    ):
        uses = any(algorithm in kind for algorithm in named)
        if value is not None and not uses:
            wrong.append(
                f"{variable} is set, but JWT_ALGORITHMS names no algorithm for it: add one of "
                f"{', '.join(kind)}, or leave {variable} out"
            )
        elif value is None and uses:
            wrong.append(
                f"JWT_ALGORITHMS names an algorithm that needs {variable}: set it, or leave the "
                "algorithm out"
            )
    return wrong
