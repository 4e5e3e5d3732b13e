"""Settings of the HTTP side."""

import ipaddress
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from workers.common.rate_limit import parse_rate

ANY_ORIGIN: Final = "*"

Names = Annotated[tuple[str, ...], NoDecode]
"""Names separated by commas."""

_UNITS: Final = ("second", "minute", "hour", "day")


def names(value: Any) -> Any:
    """Split names separated by commas; other values stay as they are."""
    if isinstance(value, str):
        return tuple(name for part in value.split(",") if (name := part.strip()))
    return value


def rate(value: str) -> str:
    """Read a rate: a number of requests per ``second``, ``minute``, ``hour`` or ``day``.

    Raises:
        ValueError: the text is not a rate.
    """
    parsed = parse_rate("/".join(map(str.strip, value.split("/"))), _UNITS)
    if parsed is None:
        raise ValueError("write a number per second, minute, hour or day, such as 120/minute")
    return f"{parsed[0]}/{parsed[1]}"


Rate = Annotated[str, AfterValidator(rate)]


def origin(value: str) -> str:
    """Read an origin as browsers send it: scheme, host, and any non-default port.

    Raises:
        ValueError: the text is neither an origin nor ``*``.
    """
    if value == ANY_ORIGIN:
        return value
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    given = value.lower()
    bare = given == f"{parts.scheme}://{parts.netloc.lower()}"
    if parts.scheme not in {"http", "https"} or not bare or not parts.hostname:
        raise ValueError(_no_origin(value))
    if "@" in parts.netloc or "*" in parts.netloc:
        raise ValueError(_no_origin(value))
    if port == {"http": 80, "https": 443}[parts.scheme]:
        return given.rpartition(":")[0]
    return given


def network(value: str) -> str:
    """Read an address, or a network such as ``10.0.0.0/8``.

    Raises:
        ValueError: it is neither.
    """
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError(
            f"HTTP_TRUSTED_PROXIES holds {value!r}: write addresses or networks, such as 10.0.0.0/8"
        ) from None


def _no_origin(value: str) -> str:
    return (
        f"CORS_ALLOWED_ORIGINS holds {value!r}: write each origin as a browser sends it, scheme, "
        "host and port alone, such as https://app.example"
    )


class HttpSettings(BaseSettings):
    """Address, callers and limits of HTTP; a mixin of `Settings`."""

    job_roles: Names = Field(
        ("service_role",), description="roles that may ask for jobs of their tenant"
    )

    http_host: str = Field("127.0.0.1", description="where HTTP listens")
    http_port: int = Field(8000, ge=0, le=65_535, description="0: any free port")
    http_inner_host: str = Field(
        "127.0.0.1", description="where the inner listener listens, with `HTTP_INNER_PORT`"
    )
    http_inner_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="port of a second listener for documents, metrics and health; unset: one "
        "listener serves all, without metrics by concept",
    )
    http_trusted_proxies: Names = Field(
        (), description="addresses or networks of proxies whose `X-Forwarded-For` is believed"
    )
    http_max_body_bytes: int = Field(
        65_536, ge=1024, description="largest body of a request, bytes"
    )
    http_subject_limit: Rate = Field(
        "120/minute", description="requests of one subject to `/v1`, sockets opened included"
    )
    http_address_limit: Rate = Field(
        "1200/minute", description="requests from one address to `/v1`, whoever asks"
    )
    http_address_concurrency: int = Field(
        200, ge=1, description="requests of one address in progress at once, health excepted"
    )
    sockets_max: int = Field(1_000, ge=1, le=100_000, description="open sockets per process")
    sockets_per_subject: int = Field(
        10, ge=1, le=10_000, description="open sockets of one subject per process"
    )
    cors_allowed_origins: Names = Field(
        (), description="origins of pages that may call, exactly; `*`: any, not in production"
    )

    @field_validator("job_roles", "cors_allowed_origins", "http_trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return names(value)

    @field_validator("cors_allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(origin, value))

    @field_validator("http_trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(network, value))
