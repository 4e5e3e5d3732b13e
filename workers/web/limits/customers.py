"""Tell which addresses belong to one customer."""

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=4_096)
def customer_of(address: str) -> str:
    """Return the customer of an address: IPv4 as it is, IPv6 by its /64 network.

    An IPv4 address mapped into IPv6 is that IPv4 address. What is no address stays as it is.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
