"""Translate errors of Postgres by their SQLSTATE.

The classes are those of the PostgreSQL manual, appendix A.
"""

from typing import Final

from workers.common.errors import (
    LedgerRefused,
    LedgerTooSlow,
    LedgerUnavailable,
    MasteryError,
    Unstorable,
)

_CANCELLED: Final = "57014"
"""The statement was cancelled, as a rule by `statement_timeout`."""
_PASSING: Final = (
    "08",  # connection exceptions
    "0A000",  # a plan made before a migration, or kept by a pooler
    "25P02",  # failed transaction that a pooler handed on
    "25006",  # read-only transaction: a failover is under way
    "25P03",  # idle in transaction for too long
    "25P04",  # transaction took too long
    "40",  # transaction rollback: deadlock, serialisation
    "53",  # insufficient resources: disk full, too many connections
    "55",  # object not in prerequisite state: lock not available
    "57",  # operator intervention: shutdown, cancelled by timeout
    "58",  # system error: I/O
    "XX000",  # what Supabase's pooler answers when it is busy or has lost its database
)
_OF_THE_DATA: Final = ("21", "22", "23", "54")
"""Cardinality, data, integrity and size: the data to store is at fault."""

_UNKNOWN_TENANT: Final = "Tenant or user not found"
"""Message of Supabase's pooler, as XX000 too, about a project or a user that it does not know."""

_POOLER: Final = (
    "DATABASE_URL leads through a transaction pooler: add pgbouncer=true to its query (port 6543 "
    "means the same)"
)

_REMEDY: Final = {
    "3D000": "create the database or correct DATABASE_URL",
    "28": "correct user and password",
    "26000": _POOLER,  # no such prepared statement
    "42P05": _POOLER,  # prepared statement exists already
    "42501": "use the service role's key, or a database user that may call the functions",
    "42": "run `mastery migrate up`: the schema is not that of this version",
    "3F": "run `mastery migrate up`: a schema is missing",
}


def ledger_error(sqlstate: str, message: str) -> MasteryError:
    """Translate an error of Postgres.

    Args:
        sqlstate: its five characters.
        message: its text, without parameters.
    """
    text = f"{message} (SQLSTATE {sqlstate})"
    if sqlstate == _CANCELLED:
        return LedgerTooSlow(text)
    if _UNKNOWN_TENANT in message:
        return LedgerRefused(
            f"the ledger refuses: {text}; correct host and user in DATABASE_URL: the user of a "
            "pooler is postgres.PROJECT"
        )
    if sqlstate.startswith(_PASSING):
        return LedgerUnavailable(text)
    if sqlstate.startswith(_OF_THE_DATA):
        return Unstorable(text)
    remedy = next(
        (r for s, r in _REMEDY.items() if sqlstate.startswith(s)), "see the log of Postgres"
    )
    return LedgerRefused(f"the ledger refuses: {text}; {remedy}")
