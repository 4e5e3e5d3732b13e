"""The rules that every object of the schemas `public` and `mastery` must keep.

They are read from Postgres's own catalogue, so that an object nobody thought of is looked at too.
"""

from typing import Any, Final

OPEN_TABLES: Final = frozenset({"mastery.settings"})
"""Tables that hold nothing of any tenant: everybody who is logged in may read them whole."""
DEPLOYMENT_TABLES: Final = frozenset(
    {"mastery.parameters", "mastery.active_parameters", "mastery.calibration_stages"}
)
"""Tables that hold nothing of any tenant, and that nobody but the service may read."""
KEYED_BY_NUMBER: Final = frozenset({"mastery.untold"})
"""Tables whose primary key is a number that the database gives, the same for all tenants."""
KEYED_BY_DIGEST: Final = frozenset({"mastery.erasures"})
"""Tables that name learners by a digest of tenant and student, since nobody may read who it was."""
CLAIM_HELPERS: Final = frozenset(
    {"mastery.claims()", "mastery.claimed_student()", "mastery.claimed_tenant()"}
)
"""The functions that policies call, as who reads."""

_SCHEMAS: Final = "('public', 'mastery')"
_OF_NO_EXTENSION: Final = """
  not exists (select from pg_depend d where d.objid = o.oid and d.deptype = 'e')"""

# ruff: noqa: S608  # nothing but constants of this file is put together
RELATIONS: Final = f"""
select o.oid, n.nspname as schema, n.nspname || '.' || o.relname as name, o.relkind::text as kind,
       o.relispartition as partition, o.relrowsecurity as secured,
       coalesce(o.reloptions, '{{}}') as options
  from pg_class o join pg_namespace n on n.oid = o.relnamespace
 where n.nspname in {_SCHEMAS} and o.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
   and {_OF_NO_EXTENSION}
 order by 3
"""
FUNCTIONS: Final = f"""
select o.oid, n.nspname as schema, o.proname as short_name,
       n.nspname || '.' || o.proname || '(' || pg_get_function_identity_arguments(o.oid) || ')'
         as name,
       o.prosecdef as definer, o.prosqlbody is not null as parsed,
       coalesce(o.proconfig, '{{}}') as options, coalesce(o.proargnames, '{{}}') as arguments
  from pg_proc o join pg_namespace n on n.oid = o.pronamespace
 where n.nspname in {_SCHEMAS} and {_OF_NO_EXTENSION}
 order by 4
"""
# Those of a role are what it was given itself, by name or as everybody; of a table or its columns.
_TABLE_RIGHTS: Final = """
select r.role, upper(w.word) as word
  from unnest(array['anon', 'authenticated']) as r(role),
       unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references',
                    'trigger']) as w(word)
 where has_table_privilege(r.role, $1::oid, w.word)
    or w.word in ('select', 'insert', 'update', 'references')
       and has_any_column_privilege(r.role, $1::oid, w.word)
"""
_SEQUENCE_RIGHTS: Final = """
select r.role, upper(w.word) as word
  from unnest(array['anon', 'authenticated']) as r(role),
       unnest(array['usage', 'select', 'update']) as w(word)
 where has_sequence_privilege(r.role, $1::oid, w.word)
"""
_POLICIES: Final = """
select p.polname as name, p.polcmd::text as command, p.polpermissive as permissive,
       coalesce(pg_get_expr(p.polqual, p.polrelid), '') as condition
  from pg_policy p
 where p.polrelid = $1 and (p.polroles = '{0}' or p.polroles && array(
   select oid from pg_roles where rolname in ('anon', 'authenticated')))
"""
_TENANT_COLUMN: Final = """
select exists (select from pg_attribute where attrelid = $1 and attname = 'tenant_id'
                and attnotnull and not attisdropped)
"""
_KEYS_WITHOUT_TENANT: Final = """
select i.indexrelid::regclass::text from pg_index i
 where i.indrelid = $1 and i.indisunique and not exists (
   select from pg_attribute a where a.attrelid = $1 and a.attname = 'tenant_id'
      and a.attnum = any (i.indkey))
"""
_CALLERS: Final = """
select r.role from unnest(array['anon', 'authenticated']) as r(role)
 where has_function_privilege(r.role, $1::oid, 'execute')
union all
select 'public' from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
 where p.oid = $1 and a.grantee = 0
"""
_ROLES: Final = """
select 'role ' || rolname || ' can do what nobody checks' from pg_roles
 where rolname in ('anon', 'authenticated')
   and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)
union all
select 'role ' || m.member::regrole || ' is a member of ' || m.roleid::regrole
  from pg_auth_members m
 where m.member in (select oid from pg_roles where rolname in ('anon', 'authenticated'))
union all
select r.role || ' may create in schema ' || s.name
  from unnest(array['anon', 'authenticated']) as r(role),
       unnest(array['public', 'mastery']) as s(name)
 where has_schema_privilege(r.role, s.name, 'create')
union all
select 'anon may use schema mastery' where has_schema_privilege('anon', 'mastery', 'usage')
"""


async def violations(connection: Any) -> list[str]:
    """List broken rules, each as a sentence that begins with the object's name."""
    wrong = [row[0] for row in await connection.fetch(_ROLES)]
    for relation in await connection.fetch(RELATIONS):
        wrong += [
            f"{relation['name']} {breach}" for breach in await _of_relation(connection, relation)
        ]
    for function in await connection.fetch(FUNCTIONS):
        wrong += [
            f"{function['name']} {breach}" for breach in await _of_function(connection, function)
        ]
    return wrong


async def _of_relation(connection: Any, relation: Any) -> list[str]:
    kind, oid = relation["kind"], relation["oid"]
    query = _SEQUENCE_RIGHTS if kind == "S" else _TABLE_RIGHTS
    rights = {(row["role"], row["word"]) for row in await connection.fetch(query, oid)}
    # A materialised view and a foreign table have no rows of their own to guard.
    readable = kind in "rpv" and not relation["partition"]
    lawful = {("authenticated", "SELECT")} if readable else set()
    wrong = [f"may be {word}ed by {role}" for role, word in sorted(rights - lawful)]
    if kind == "v" and not {"security_invoker=on", "security_invoker=true"} & {
        *relation["options"]
    }:
        wrong.append("is a view without security_invoker: it reads as its owner")
    if kind in "rp":
        wrong += await _of_table(connection, relation, readable=bool(rights & lawful))
    return wrong


async def _of_table(connection: Any, table: Any, *, readable: bool) -> list[str]:
    wrong = []
    if not table["secured"]:
        wrong.append("has no row level security")
    if table["partition"] and table["schema"] == "public":
        wrong.append(
            "is a partition within reach of the REST layer: its parent's policy is not its"
        )
    policies = await connection.fetch(_POLICIES, table["oid"])
    if table["schema"] == "public" and not table["partition"]:
        readable = True
    if readable and not any(p["permissive"] and p["command"] in "r*" for p in policies):
        wrong.append("has no policy that says which rows a student reads")
    wrong += [
        f"has the policy {policy['name']}, which is for more than reading"
        for policy in policies
        if policy["command"] != "r"
    ]
    if table["name"] in OPEN_TABLES:
        return wrong
    wrong += [
        f"has the policy {policy['name']}, which lets more than own rows through"
        for policy in policies
        if not _own_rows(policy["condition"])
    ]
    if table["name"] in KEYED_BY_DIGEST | DEPLOYMENT_TABLES:
        return wrong
    return wrong + await _without_tenant(connection, table)


async def _without_tenant(connection: Any, table: Any) -> list[str]:
    wrong = []
    if not await connection.fetchval(_TENANT_COLUMN, table["oid"]):
        wrong.append("has no tenant_id that is never null")
    if table["name"] not in KEYED_BY_NUMBER:
        wrong += [
            f"has the key {row[0]}, which two tenants would share"
            for row in await connection.fetch(_KEYS_WITHOUT_TENANT, table["oid"])
        ]
    return wrong


def _own_rows(condition: str) -> bool:
    """True if a policy's condition is exactly: the claimed student of the claimed tenant."""
    text = "".join(condition.split()).replace("::text", "")
    halves = (
        "(student_id=(SELECTmastery.claimed_student()ASclaimed_student))",
        "(tenant_id=(SELECTmastery.claimed_tenant()ASclaimed_tenant))",
    )
    return text in {f"({a}AND{b})" for a, b in (halves, halves[::-1])}


async def _of_function(connection: Any, function: Any) -> list[str]:
    wrong = []
    if function["definer"]:
        wrong.append("is SECURITY DEFINER: it reads and writes as its owner")
    # A body in standard SQL was parsed when the function was made: no path can change its meaning.
    if not function["parsed"] and 'search_path=""' not in function["options"]:
        wrong.append("has no search_path of its own, set to nothing")
    callers = {row[0] for row in await connection.fetch(_CALLERS, function["oid"])}
    lawful = {"authenticated"} if function["name"] in CLAIM_HELPERS else set()
    wrong += [f"may be executed by {role}" for role in sorted(callers - lawful)]
    return wrong
