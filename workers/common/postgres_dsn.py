"""DSNs of Postgres: read what they say about a transaction pooler."""

from typing import Final, NamedTuple
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

_TRANSACTION_POOLER_PORT: Final = 6543
"""Port of Supabase's transaction pooler."""
_PARAMETER: Final = "pgbouncer"
"""Parameter that says whether the DSN leads through one; Prisma has the same."""
_MEANINGS: Final = {"true": True, "false": False}


class Address(NamedTuple):
    """A DSN that asyncpg takes, and what it says about a transaction pooler.

    Args:
        dsn: without our own parameter, which a server would refuse.
        pooled: True through a transaction pooler; None: the DSN does not say.
    """

    dsn: str
    pooled: bool | None


def address(dsn: str) -> Address:
    """Take ``pgbouncer=true`` or ``pgbouncer=false`` from a DSN; else port 6543 means true.

    Raises:
        ValueError: the parameter has another value, or the port is no number.
    """
    parts = urlsplit(dsn)
    options = parse_qs(parts.query)
    try:
        port = int(options["port"][0]) if "port" in options else parts.port
    except ValueError:
        raise ValueError("its port is no number") from None
    pooled = True if port == _TRANSACTION_POOLER_PORT else None
    if _PARAMETER not in options:
        return Address(dsn, pooled)
    value = options[_PARAMETER][-1].lower()
    if value not in _MEANINGS:
        raise ValueError(f"{_PARAMETER} must be true or false, not {value!r}")
    kept = [(name, text) for name, text in parse_qsl(parts.query, True) if name != _PARAMETER]
    return Address(
        parts._replace(query=urlencode(kept, safe="/:,", quote_via=quote)).geturl(),
        _MEANINGS[value],
    )
