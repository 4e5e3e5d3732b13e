"""Settings that decide which tokens are accepted."""

from typing import Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from workers.common.jwt_algorithms import (
    DEFAULT_KEY_ALGORITHMS,
    KEY_ALGORITHMS,
    SECRET_ALGORITHMS,
)
from workers.config.hosts import checked_url
from workers.config.http import Names, names

SHORTEST_SECRET_BYTES: Final = 32
"""Shortest secret of HS256, in bytes: as long as its hash (RFC 7518, section 3.2)."""


class TokenSettings(BaseSettings):
    """Keys and accepted claims of tokens; a mixin of `Settings`."""

    jwt_mode: Literal["verify", "trust"] | None = Field(
        None,
        description="`verify`: the token of each event is verified; `trust`: the publisher has "
        "verified it, its claims are checked here; unset: `verify` where a key is set, else "
        "`trust`, which production must set explicitly",
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

    @field_validator("jwt_delegate_roles", "jwt_algorithms", mode="before")
    @classmethod
    def _split_token_names(cls, value: object) -> object:
        return names(value)

    @field_validator("jwt_tenant_claim")
    @classmethod
    def _tenant_path(cls, value: str) -> str:
        if not all(value.split(".")):
            raise ValueError("JWT_TENANT_CLAIM must be a dotted path such as app_metadata.tenant")
        return value

    @field_validator("jwt_jwks_url")
    @classmethod
    def _jwks_scheme(cls, value: str | None) -> str | None:
        return checked_url(value, ("https", "http"), "JWT_JWKS_URL")

    @property
    def verifies_tokens(self) -> bool:
        """True if this process verifies the tokens of events."""
        if self.jwt_mode is None:
            return self.jwt_jwks_url is not None or self.jwt_secret is not None
        return self.jwt_mode == "verify"

    @property
    def token_algorithms(self) -> tuple[str, ...]:
        """Return the algorithms of tokens: JWT_ALGORITHMS, else those of the configured keys."""
        if self.jwt_algorithms:
            return self.jwt_algorithms
        return (DEFAULT_KEY_ALGORITHMS if self.jwt_jwks_url else ()) + (
            SECRET_ALGORITHMS if self.jwt_secret else ()
        )

    def contradictory_tokens(self) -> list[str]:
        """List the faults between these settings, each with its remedy."""
        wrong = []
        named = self.jwt_algorithms
        unknown = sorted({*named} - {*KEY_ALGORITHMS, *SECRET_ALGORITHMS})
        if unknown:
            wrong.append(
                f"JWT_ALGORITHMS names {', '.join(unknown)}: name some of "
                f"{', '.join((*KEY_ALGORITHMS, *SECRET_ALGORITHMS))}"
            )
        if self.jwt_mode == "verify" and not (self.jwt_jwks_url or self.jwt_secret):
            wrong.append(
                "JWT_MODE=verify has no key to verify with: set JWT_JWKS_URL (an issuer's key set) "
                "or JWT_SECRET (of HS256)"
            )
        if self.jwt_secret is not None:
            length = len(self.jwt_secret.get_secret_value().encode())
            if length < SHORTEST_SECRET_BYTES:
                wrong.append(
                    f"JWT_SECRET has {length} bytes: HS256 needs a random secret of at least "
                    f"{SHORTEST_SECRET_BYTES}, such as `openssl rand -hex 32` makes"
                )
        if named and not unknown:
            wrong += self._unused(named)
        return wrong

    def _unused(self, named: tuple[str, ...]) -> list[str]:
        wrong = []
        for variable, value, kind in (
            ("JWT_SECRET", self.jwt_secret, SECRET_ALGORITHMS),
            ("JWT_JWKS_URL", self.jwt_jwks_url, KEY_ALGORITHMS),
        ):
            uses = any(algorithm in kind for algorithm in named)
            if value is not None and not uses:
                wrong.append(
                    f"{variable} is set, but JWT_ALGORITHMS names no algorithm for it: add one of "
                    f"{', '.join(kind)}, or leave {variable} out"
                )
            elif value is None and uses:
                wrong.append(
                    f"JWT_ALGORITHMS names an algorithm that needs {variable}: set it, or leave "
                    "the algorithm out"
                )
        return wrong
