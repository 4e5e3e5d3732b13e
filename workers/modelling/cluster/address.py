"""Which addresses of a cluster are safe to send answers to."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from workers.common.errors import CalibrationFailed


def check_address(address: str) -> None:
    """Require TLS for every address but a loopback one.

    Args:
        address: address of the scheduler, such as ``tls://scheduler:8786``.

    Raises:
        CalibrationFailed: the address is none, or its connection would be neither encrypted nor
            local.
    """
    parts = urlsplit(address)
    if parts.scheme not in {"tls", "tcp"} or not parts.hostname or parts.port is None:
        raise CalibrationFailed(
            f"the cluster's address is {address!r}: give that of its scheduler, such as "
            "tls://scheduler:8786"
        )
    if parts.scheme == "tcp" and not _is_loopback(parts.hostname):
        raise CalibrationFailed(
            f"the cluster's address {address!r} has no TLS: its workers load what they are sent, "
            "and answers would be readable on the way. Start scheduler and workers with "
            "certificates and give tls://… (docs/calibration.md)"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
