-- Parameters: the versions that states are computed under, and which one is active.
--
-- Parameters belong to the deployment and to no tenant. Version 1 is built in and stands in no
-- table; it is active while mastery.active_parameters has no row.

create sequence mastery.parameters_version as int minvalue 2 start 2;
comment on sequence mastery.parameters_version is 'Versions of stored parameters.';
grant usage on sequence mastery.parameters_version to service_role;

create table mastery.parameters (
  version int primary key default nextval('mastery.parameters_version') check (version >= 2),
  model text not null check (model <> ''),
  document jsonb not null check (jsonb_typeof(document) = 'object'),
  diagnostics jsonb not null check (jsonb_typeof(diagnostics) = 'object'),
  note text not null,
  created_at timestamptz not null default now(),
  checksum bigint not null
);
comment on table mastery.parameters is 'Versions of parameters, append-only.';
comment on column mastery.parameters.document is
  'The parameters as the engine writes them, without version and threshold.';
comment on column mastery.parameters.diagnostics is 'Diagnostics of the fit.';

create table mastery.active_parameters (
  singleton boolean primary key default true check (singleton),
  version int not null check (version >= 1),
  activated_at timestamptz not null default now(),
  reason text not null
);
comment on table mastery.active_parameters is 'The version that states are computed under: one row or none.';

alter table mastery.parameters enable row level security;
alter table mastery.active_parameters enable row level security;
revoke all on mastery.parameters, mastery.active_parameters from public, anon, authenticated;
grant select, insert on mastery.parameters to service_role;
grant select, insert, update on mastery.active_parameters to service_role;

-- Refuses a superuser too: a version's states are what its document gives.
create function mastery.refuse_change() returns trigger
language plpgsql security invoker set search_path = ''
as $$
begin
  raise exception '%.% is append-only', tg_table_schema, tg_table_name;
end $$;
create trigger append_only before update or delete or truncate on mastery.parameters
  for each statement execute function mastery.refuse_change();

create function mastery.parameters_checksum(
  version int, model text, document jsonb, diagnostics jsonb, note text, created_at timestamptz)
returns bigint
language sql immutable parallel safe
return pg_catalog.hash_record_extended(
  row(version, model, document, diagnostics, note, created_at), 0);

create function mastery.active_version() returns int
language sql stable parallel safe security invoker set search_path = ''
as $$ select coalesce((select a.version from mastery.active_parameters a), 1) $$;

-- Lists the versions of parameters.
--
-- In:  version   the one whose document is wanted; absent: all, without their documents
-- Out: active    [version, activated_at, reason]; both null for the built-in one that nobody
--                activated
--      versions  [[version, model, note, created_at, diagnostics, document, intact], ...] by
--                version; intact: the row is what was written. A list of all leaves concepts,
--                items and warnings out of the diagnostics
create function public.mastery_parameters(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
as $$
declare
  request alias for $1;
  wanted constant int := (request ->> 'version')::int;
begin
  return json_build_object(
    'active', coalesce(
      (select json_build_array(a.version, mastery.microseconds(a.activated_at), a.reason)
         from mastery.active_parameters a),
      json_build_array(1, null, null)),
    'versions', (
      select coalesce(json_agg(json_build_array(
               p.version, p.model, p.note, mastery.microseconds(p.created_at),
               case when wanted is null then p.diagnostics - array['concepts', 'items', 'warnings']
                    else p.diagnostics end,
               case when wanted is not null then p.document end,
               p.checksum = mastery.parameters_checksum(
                 p.version, p.model, p.document, p.diagnostics, p.note, p.created_at))
               order by p.version), '[]')
        from mastery.parameters p
       where wanted is null or p.version = wanted));
end $$;

-- Stores a version, which nothing uses before it is activated.
--
-- In:  model, document, diagnostics, note
-- Out: [its version]
create function public.mastery_store_parameters(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with made as (
    insert into mastery.parameters as p (
      version, model, document, diagnostics, note, created_at, checksum)
    select t.*, mastery.parameters_checksum(
             t.version, t.model, t.document, t.diagnostics, t.note, t.created_at)
      from (select nextval('mastery.parameters_version')::int as version, $1 ->> 'model' as model,
                   $1 -> 'document' as document, $1 -> 'diagnostics' as diagnostics,
                   $1 ->> 'note' as note, now() as created_at
            offset 0) as t
    returning p.version)
  select json_build_array(m.version) from made m
$$;

-- Activates a version: states are computed under it from now on.
--
-- In:  version, reason
--      expected  [version, activated_at] of the activation that must be the latest one, as
--                `mastery_parameters` gave it, else nothing changes; absent: any
-- Out: [the version that is active now, whether the requested version exists]
create function public.mastery_activate_parameters(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
as $$
declare
  request alias for $1;
  wanted constant int := (request ->> 'version')::int;
  known constant boolean :=
    wanted = 1 or exists (select from mastery.parameters p where p.version = wanted);
  anyhow constant boolean := not request ? 'expected';
  version_before constant int := (request -> 'expected' ->> 0)::int;
  since constant bigint := (request -> 'expected' ->> 1)::bigint;
begin
  -- The row's lock decides between two callers.
  insert into mastery.active_parameters as a (version, activated_at, reason)
  select wanted, clock_timestamp(), request ->> 'reason'
   where known
     and (anyhow or since is not null or version_before = 1)
     and (anyhow or since is null or exists (select from mastery.active_parameters))
      on conflict (singleton) do update
     set version = excluded.version, activated_at = excluded.activated_at, reason = excluded.reason
   where anyhow
      or (a.version = version_before and mastery.microseconds(a.activated_at) = since);
  return json_build_array(mastery.active_version(), known);
end $$;

-- Lists the learners whose state is under another version than the active one.
--
-- In:  limit, after_version, after_tenant, after_student: a page, by version and key
--      or count: true
-- Out: [[parameters_version, tenant, student], ...], or [number of learners]
create function public.mastery_outdated(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  active constant int := mastery.active_version();
  after_version constant int := coalesce((request ->> 'after_version')::int, 0);
  after_tenant constant text := coalesce(request ->> 'after_tenant', '');
  after_student constant text := coalesce(request ->> 'after_student', '');
  most constant int := (request ->> 'limit')::int;
begin
  if request ? 'count' then
    -- Two ranges of the index: no other learner is read.
    return json_build_array(
      (select count(*) from mastery.learners l
        where l.parameters_version < active and l.version > 0)
      + (select count(*) from mastery.learners l
          where l.parameters_version > active and l.version > 0));
  end if;
  return (
    select coalesce(json_agg(json_build_array(o.parameters_version, o.tenant_id, o.student_id)
             order by o.parameters_version, o.tenant_id, o.student_id), '[]')
      from ((select l.parameters_version, l.tenant_id, l.student_id from mastery.learners l
              where l.parameters_version < active and l.version > 0
                and (l.parameters_version, l.tenant_id, l.student_id)
                    > (after_version, after_tenant, after_student)
              order by l.parameters_version, l.tenant_id, l.student_id limit most)
            union all
            (select l.parameters_version, l.tenant_id, l.student_id from mastery.learners l
              where l.parameters_version > active and l.version > 0
                and (l.parameters_version, l.tenant_id, l.student_id)
                    > (after_version, after_tenant, after_student)
              order by l.parameters_version, l.tenant_id, l.student_id limit most)
            order by parameters_version, tenant_id, student_id
            limit most) as o);
end $$;

revoke execute on function
  public.mastery_parameters(jsonb), public.mastery_store_parameters(jsonb),
  public.mastery_activate_parameters(jsonb), public.mastery_outdated(jsonb),
  mastery.active_version(), mastery.refuse_change(), mastery.parameters_checksum
  from public, anon, authenticated;
grant execute on function
  public.mastery_parameters(jsonb), public.mastery_store_parameters(jsonb),
  public.mastery_activate_parameters(jsonb), public.mastery_outdated(jsonb),
  mastery.active_version(), mastery.refuse_change(), mastery.parameters_checksum
  to service_role;
