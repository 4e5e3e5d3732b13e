"""URLs of servers: check them, and find the hosts they reach in plain text."""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

CLUSTER_SCHEMES: Final = ("redis+cluster", "rediss+cluster")

_PROTECTED: Final = frozenset(
    ("https", "rediss", "rediss+cluster", "unix", "neo4j+s", "neo4j+ssc", "bolt+s", "bolt+ssc")
)
_POSTGRES: Final = frozenset(("postgres", "postgresql"))
_PROTECTED_POSTGRES: Final = frozenset(("require", "verify-ca", "verify-full"))

_PASSWORD: Final = re.compile(r"^([^:/?#]+://[^:/?#]*):[^/?#]*@")
_QUERY_PASSWORD: Final = re.compile(r"([?&][^=&]*password=)[^&#]*")


def is_loopback(host: str) -> bool:
    """Return True if a host is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def plain_text_host(url: str, allowed: Iterable[str] = ()) -> str | None:
    """Find the host that a URL reaches in plain text over a network; None if there is none.

    Args:
        url: URL of a server; an unknown scheme counts as plain text.
        allowed: hosts for which plain text is intended.
    """
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    if parts.scheme in _PROTECTED:
        return None
    if parts.scheme in _POSTGRES and options.get("sslmode", [""])[-1] in _PROTECTED_POSTGRES:
        return None
    hosts = [part.hostname or "" for part in _each_host(url)] + options.get("host", [])
    fine = {host.lower() for host in allowed}
    return next(
        (
            host
            for host in hosts
            if host and not host.startswith("/") and host not in fine and not is_loopback(host)
        ),
        None,
    )


def checked_url(value: str | None, schemes: tuple[str, ...], variable: str) -> str | None:
    """Return a URL whose scheme and host are usable; None stays None.

    Args:
        value: the URL.
        schemes: the schemes it may have.
        variable: the setting that the message names.

    Raises:
        ValueError: the scheme is another one, the host is missing or the port is not a number.
    """
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        complete = parts.scheme == "unix" and bool(parts.path)
        complete = complete or all(part.hostname for part in _each_host(value))
        _ = [part.port for part in _each_host(value)]
    except ValueError:
        # urllib's message quotes the URL, perhaps with a password.
        parts, complete = urlsplit(""), False
    if parts.scheme not in schemes or not complete:
        wanted = ", ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(
            f"{variable} must be a URL with a host, and a port that is a number if any, that "
            f"begins with {wanted}; write / @ : of a password as %2F %40 %3A"
        )
    return value


def is_cluster_url(url: str | None) -> bool:
    """Return True if a URL names the nodes of a Redis Cluster."""
    return url is not None and urlsplit(url).scheme in CLUSTER_SCHEMES


def _each_host(url: str) -> list[SplitResult]:
    """Split a URL; the URL of a Redis Cluster may name several hosts, separated by commas."""
    parts = urlsplit(url)
    if parts.scheme not in CLUSTER_SCHEMES:
        return [parts]
    addresses = parts.netloc.rpartition("@")[2].split(",")
    return [urlsplit(f"redis://{address}") for address in addresses]


def redacted(url: str) -> str:
    """Return a URL that may be shown: without its password, in the query too.

    Args:
        url: URL of a server, as `checked_url` accepts it.
    """
    return _QUERY_PASSWORD.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))
