"""Everything that the schemas of a database define, read from Postgres's own catalogue."""

from typing import Final

import asyncpg

CATALOGUE: Final = {
    "tables": """
        select c.oid::regclass::text, c.relkind, c.relrowsecurity, c.relforcerowsecurity,
               c.relispartition, c.reloptions, pg_get_expr(c.relpartbound, c.oid),
               obj_description(c.oid), c.relacl::text
          from pg_class c where c.relnamespace in ('public'::regnamespace, {mastery})
           and c.relkind in ('r', 'p', 'S', 'v')""",
    "columns": """
        select a.attrelid::regclass::text,
               row_number() over (partition by a.attrelid order by a.attnum), a.attname,
               format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated, a.attidentity,
               a.attcollation::regcollation::text, a.attacl::text,
               pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum)
          from pg_attribute a join pg_class c on c.oid = a.attrelid
          left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
         where c.relnamespace in ('public'::regnamespace, {mastery})
           and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped""",
    "constraints": """
        select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
         where connamespace in ('public'::regnamespace, {mastery})""",
    "indexes": """
        select schemaname, tablename, indexname, indexdef from pg_indexes
         where schemaname in ('public', 'mastery')""",
    "policies": """
        select schemaname, tablename, policyname, permissive, roles::text, cmd, qual, with_check
          from pg_policies where schemaname in ('public', 'mastery')""",
    "triggers": """
        select tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid), tgenabled
          from pg_trigger t join pg_class c on c.oid = t.tgrelid
         where c.relnamespace in ('public'::regnamespace, {mastery}) and not tgisinternal""",
    "sequences": """
        select schemaname, sequencename, data_type::text, start_value, min_value, max_value,
               increment_by, cycle, cache_size
          from pg_sequences where schemaname in ('public', 'mastery')""",
    "functions": """
        select p.oid::regprocedure::text, pg_get_functiondef(p.oid), p.proacl::text,
               obj_description(p.oid, 'pg_proc') from pg_proc p
         where p.pronamespace in ('public'::regnamespace, {mastery})""",
    "schemas": """
        select nspname, nspacl::text from pg_namespace where nspname in ('public', 'mastery')""",
    "published": """
        select pubname, schemaname, tablename from pg_publication_tables""",
}


async def catalogue(dsn: str) -> dict[str, list[str]]:
    """Everything that a database defines in the schemas `public` and `mastery`, sorted."""
    # Without its schema the oid 0 stands for it, which no object has.
    mastery = "coalesce(to_regnamespace('mastery')::oid, 0)"
    connection = await asyncpg.connect(dsn)
    try:
        return {
            name: sorted(map(repr, await connection.fetch(query.format(mastery=mastery))))
            for name, query in CATALOGUE.items()
        }
    finally:
        await connection.close()
