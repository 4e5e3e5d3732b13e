"""Use a database again: empty its tables if nothing was defined in it since the last use.

A schema that is made anew costs a second, and PostgREST another one to read it.
"""

from typing import Any

import asyncpg

# Any statement that defines something adds a row to a catalog, with a newer xmin, or removes one.
_CATALOGS = (
    "pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_default_acl",
    "pg_event_trigger", "pg_extension", "pg_index", "pg_inherits", "pg_namespace", "pg_policy",
    "pg_proc", "pg_publication", "pg_publication_namespace", "pg_publication_rel", "pg_rewrite",
    "pg_sequence", "pg_trigger", "pg_type",
)  # fmt: skip
_LINES = " union all ".join(
    f"select '{name} ' || count(*) || ' ' || max(xmin::text::bigint) as line from {name}"  # noqa: S608  # as above
    for name in _CATALOGS
)
_DEFINITIONS = f"""
select md5(string_agg(line, ' ' order by line)) from (
  {_LINES}
  union all
  select string_agg(version || ' ' || md5(statements::text), ' ' order by version)
  from supabase_migrations.schema_migrations
) as lines
"""  # noqa: S608  # the names are those above
_TABLES = """
select format('%I.%I', nspname, relname)
from pg_class join pg_namespace as n on n.oid = relnamespace
where nspname in ('public', 'mastery') and relkind in ('r', 'p') and not relispartition
"""
_RESTART_SEQUENCES = """
select setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
from pg_sequences where schemaname in ('public', 'mastery')
"""


async def is_as_left(connection: "asyncpg.Connection[Any]", made_by: str) -> bool:
    """Return True if the schema is that of the last `leave_note`, by the same migrations."""
    if await connection.fetchval("select to_regclass('supabase_migrations.schema_migrations')"):
        note = await connection.fetchval(
            "select shobj_description(oid, 'pg_database') from pg_database "
            "where datname = current_database()"
        )
        return bool(note == await _note(connection, made_by))
    return False


async def leave_note(connection: "asyncpg.Connection[Any]", made_by: str) -> None:
    """Note in the database's comment what is defined in it.

    Args:
        connection: to the database, as its owner.
        made_by: digest of what made the schema.
    """
    database = await connection.fetchval("select quote_ident(current_database())")
    note = await _note(connection, made_by)
    await connection.execute(f"comment on database {database} is '{note}'")


async def empty_tables(connection: "asyncpg.Connection[Any]") -> None:
    """Remove all rows of the engine's tables, also of those whose triggers forbid it.

    Sequences start again.
    """
    tables = [row[0] for row in await connection.fetch(_TABLES)]
    full = [
        table
        for table in tables
        if await connection.fetchval(f"select true from {table} limit 1")  # noqa: S608  # quoted
    ]
    if full:
        await connection.execute(
            "set session_replication_role = replica; "
            f"truncate {', '.join(full)} cascade; "
            "set session_replication_role = default"
        )
    await connection.execute(_RESTART_SEQUENCES)


async def _note(connection: "asyncpg.Connection[Any]", made_by: str) -> str:
    return f"{made_by} {await connection.fetchval(_DEFINITIONS)}"
