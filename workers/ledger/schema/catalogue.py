"""Reads from Postgres's own catalogue what the schemas `public` and `mastery` define.

Two databases whose catalogues are equal define the same: `drafting` turns a difference into SQL.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

KINDS: Final = ("function", "trigger", "policy", "row security", "grant", "comment")
"""Kinds of objects that can be drafted, in the order of their creation."""

_SCHEMAS: Final = "('public', 'mastery')"
_ROLES: Final = "public, anon, authenticated, service_role"

# Every query gives rows of name, create, drop, shape and trivial: see `Definition`.
_FUNCTIONS: Final = f"""
select p.oid::regprocedure::text as name, rtrim(pg_get_functiondef(p.oid), E'\\n') || ';' as create,
       format('drop function %s;', p.oid::regprocedure) as drop,
       pg_get_function_arguments(p.oid) || ' ' || pg_get_function_result(p.oid) as shape,
       false as trivial
  from pg_proc p
 where p.pronamespace::regnamespace::text in {_SCHEMAS} and p.prokind = 'f'
 order by p.oid
"""  # noqa: S608  # here and below: nothing but constants of this file is put together
_TRIGGERS: Final = f"""
select t.tgname || ' on ' || c.oid::regclass as name, pg_get_triggerdef(t.oid) || ';' as create,
       format('drop trigger %I on %s;', t.tgname, c.oid::regclass) as drop,
       pg_get_triggerdef(t.oid) as shape, false as trivial
  from pg_trigger t join pg_class c on c.oid = t.tgrelid
 where c.relnamespace::regnamespace::text in {_SCHEMAS}
   and not t.tgisinternal and t.tgparentid = 0
 order by 1
"""  # noqa: S608
_POLICIES: Final = f"""
select p.name, p.create, format('drop policy %I on %s;', p.policyname, p.on) as drop,
       p.create as shape, false as trivial
  from (select policyname, o.on, policyname || ' on ' || o.on as name,
               format('create policy %I on %s as %s for %s to %s', policyname, o.on,
                      lower(permissive), lower(cmd), array_to_string(roles, ', '))
               || coalesce(E'\\n  using (' || qual || ')', '')
               || coalesce(E'\\n  with check (' || with_check || ')', '') || ';' as create
          from pg_policies,
               lateral (select format('%I.%I', schemaname, tablename)::regclass::text as on) as o
         where schemaname in {_SCHEMAS}) as p
 order by 1
"""  # noqa: S608
_ROW_SECURITY: Final = f"""
select c.oid::regclass::text as name,
       format(E'alter table %1$s %2$s row level security;\\n'
              'alter table %1$s %3$s row level security;', c.oid::regclass,
              case when c.relrowsecurity then 'enable' else 'disable' end,
              case when c.relforcerowsecurity then 'force' else 'no force' end) as create,
       null as drop, '' as shape, false as trivial
  from pg_class c
 where c.relnamespace::regnamespace::text in {_SCHEMAS} and c.relkind in ('r', 'p')
 order by 1
"""  # noqa: S608
# A new object is given nothing by chance: Supabase's default privileges are generous.
_GRANTS: Final = f"""
with objects as (
  select 'function ' || p.oid::regprocedure as name, p.proowner as owner,
         coalesce(p.proacl, acldefault('f', p.proowner)) as acl
    from pg_proc p
   where p.pronamespace::regnamespace::text in {_SCHEMAS} and p.prokind = 'f'
  union all
  select case when c.relkind = 'S' then 'sequence ' else 'table ' end || c.oid::regclass,
         c.relowner, coalesce(c.relacl, acldefault(
           case when c.relkind = 'S' then 's' else 'r' end::"char", c.relowner))
    from pg_class c
   where c.relnamespace::regnamespace::text in {_SCHEMAS}
     and c.relkind in ('r', 'p', 'S', 'v', 'm', 'f')
  union all
  select 'schema ' || quote_ident(n.nspname), n.nspowner,
         coalesce(n.nspacl, acldefault('n', n.nspowner))
    from pg_namespace n where n.nspname = 'mastery'),
granted as (
  select o.name, format(
           'grant %s on %s to %s%s;', string_agg(lower(a.privilege_type), ', '
             order by a.privilege_type), o.name,
           case when a.grantee = 0 then 'public' else a.grantee::regrole::text end,
           case when a.is_grantable then ' with grant option' else '' end) as statement
    from objects o, aclexplode(o.acl) as a
   where a.grantee <> o.owner
   group by o.name, a.grantee, a.is_grantable)
select o.name, 'revoke all on ' || o.name || ' from {_ROLES};' || coalesce(
         (select E'\\n' || string_agg(g.statement, E'\\n' order by g.statement) from granted g
           where g.name = o.name), '') as create,
       null as drop, '' as shape, false as trivial
  from objects o
 order by 1
"""  # noqa: S608
_COMMENTS: Final = f"""
select o.name, format('comment on %s is %s;', o.name, coalesce(quote_literal(o.comment), 'null'))
         as create,
       null as drop, '' as shape, o.comment is null as trivial
  from (select 'function ' || p.oid::regprocedure as name,
               obj_description(p.oid, 'pg_proc') as comment
          from pg_proc p
         where p.pronamespace::regnamespace::text in {_SCHEMAS} and p.prokind = 'f'
        union all
        select case when c.relkind = 'S' then 'sequence ' else 'table ' end || c.oid::regclass,
               obj_description(c.oid, 'pg_class')
          from pg_class c
         where c.relnamespace::regnamespace::text in {_SCHEMAS} and c.relkind in ('r', 'p', 'S')
        union all
        select format('column %s.%I', c.oid::regclass, a.attname), col_description(c.oid, a.attnum)
          from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace::regnamespace::text in {_SCHEMAS} and c.relkind in ('r', 'p')
           and a.attnum > 0 and not a.attisdropped) as o
 order by 1
"""  # noqa: S608
_QUERIES: Final = dict(
    zip(
        KINDS,
        (_FUNCTIONS, _TRIGGERS, _POLICIES, _ROW_SECURITY, _GRANTS, _COMMENTS),
        strict=True,
    )
)

# The parts of a partition are those of its parent, but for its bound.
_TABLES: Final = f"""
select c.oid::regclass::text as name, p.part
  from pg_class c, lateral (
         select 'is ' || case c.relkind when 'S' then 'a sequence' when 'v' then 'a view'
                          when 'm' then 'a materialized view' else 'a table' end
                || coalesce(' ' || array_to_string(c.reloptions, ', '), '')
                || coalesce(' partitioned by ' || pg_get_partkeydef(c.oid), '')
                || coalesce(' ' || pg_get_expr(c.relpartbound, c.oid), '')
                || case when c.relkind in ('v', 'm') then ' ' || pg_get_viewdef(c.oid) else '' end
                as part
         union all
         select format('column %s %s', a.attname, format_type(a.atttypid, a.atttypmod))
                || case when a.attcollation not in (0, t.typcollation)
                        then ' collate ' || a.attcollation::regcollation else '' end
                || case when a.attnotnull then ' not null' else '' end
                || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
                || case when a.attidentity <> '' then ' identity ' || a.attidentity::text
                        else '' end
                || case when a.attgenerated <> '' then ' generated' else '' end
                || coalesce(' ' || a.attacl::text, '')
           from pg_attribute a join pg_type t on t.oid = a.atttypid
                left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            and c.relkind in ('r', 'p') and not c.relispartition
         union all
         select format('constraint %s %s', k.conname, pg_get_constraintdef(k.oid))
           from pg_constraint k where k.conrelid = c.oid and not c.relispartition
         union all
         select pg_get_indexdef(i.indexrelid)
           from pg_index i where i.indrelid = c.oid and not c.relispartition
         union all
         select format('sequence %s from %s to %s, starts at %s, by %s', s.data_type, s.min_value,
                       s.max_value, s.start_value, s.increment_by)
           from pg_sequences s
          where c.relkind = 'S' and format('%I.%I', s.schemaname, s.sequencename)::regclass = c.oid
         union all
         select 'in publication ' || b.pubname
           from pg_publication_tables b
          where format('%I.%I', b.schemaname, b.tablename)::regclass = c.oid) as p
 where c.relnamespace::regnamespace::text in {_SCHEMAS}
   and c.relkind in ('r', 'p', 'S', 'v', 'm', 'f')
 order by 1, 2
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Definition:
    """One object, as SQL.

    Args:
        create: makes it, or replaces one of the same shape.
        drop: takes it away; None if it goes with the object that it belongs to.
        shape: what `create` can't replace: an object of another shape must be dropped first.
        trivial: whether a new object has this anyway.
    """

    create: str
    drop: str | None
    shape: str
    trivial: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The definitions of a database.

    Args:
        definitions: by kind (`KINDS`) and name; functions in the order of their creation.
        tables: the parts of every table, view and sequence, as text to compare.
    """

    definitions: dict[str, dict[str, Definition]] = field(default_factory=dict)
    tables: dict[str, frozenset[str]] = field(default_factory=dict)


async def read_catalogue(connection: "Connection") -> Catalogue:
    """Read what a database defines in the schemas `public` and `mastery`."""
    async with connection.transaction():
        # Names come out qualified, whatever the search path of the role is.
        await connection.execute("set local search_path = ''")
        definitions = {
            kind: {
                row["name"]: Definition(row["create"], row["drop"], row["shape"], row["trivial"])
                for row in await connection.fetch(query)
            }
            for kind, query in _QUERIES.items()
        }
        return Catalogue(definitions, _grouped(await connection.fetch(_TABLES)))


def _grouped(rows: Iterable[asyncpg.Record]) -> dict[str, frozenset[str]]:
    parts: dict[str, list[str]] = {}
    for row in rows:
        parts.setdefault(row["name"], []).append(row["part"])
    return {name: frozenset(of) for name, of in parts.items()}


def table_differences(before: Catalogue, after: Catalogue) -> Sequence[str]:
    """Name what differs between the tables, views and sequences of two databases.

    Returns:
        A line for each part that `after` adds or removes, sorted by table.
    """
    lines = []
    for name in sorted(before.tables.keys() | after.tables.keys()):
        had, has = (catalogue.tables.get(name, frozenset()) for catalogue in (before, after))
        lines += [f"{name}: remove {part}" for part in sorted(had - has)]
        lines += [f"{name}: add {part}" for part in sorted(has - had)]
    return lines
