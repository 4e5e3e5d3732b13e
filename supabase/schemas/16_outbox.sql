-- The outbox: changes of mastery that no answer caused (corrections, replays), written in the
-- transaction that makes them and published afterwards.

create table mastery.untold (
  id bigint generated always as identity primary key,
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  concept_id text collate "C" not null,
  version bigint not null,
  data jsonb not null,
  written_at timestamptz not null default now(),
  taken_at timestamptz
);
comment on table mastery.untold is
  'Pending changes: written in the transaction that makes them, deleted once published.';
comment on column mastery.untold.taken_at is
  'When a worker took it for publishing; after the lease another one may take it.';
alter table mastery.untold enable row level security;
revoke all on mastery.untold from public, anon, authenticated;
grant all on mastery.untold to service_role;

-- Takes pending changes, the oldest first, and keeps others from taking them for `lease_s`.
--
-- In:  limit; lease_s: seconds after which whoever took a change is assumed dead
-- Out: [[id, tenant, student, concept, version, written_at, data], ...]
create function public.mastery_untold(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with taken as (
    update mastery.untold u
       set taken_at = clock_timestamp()
     where u.id = any (array(
       select f.id from mastery.untold f
        where f.taken_at is null
           or f.taken_at < clock_timestamp() - make_interval(secs => ($1 ->> 'lease_s')::float8)
        order by f.id
        limit ($1 ->> 'limit')::int
          for update skip locked))
    returning u.*)
  select coalesce(json_agg(json_build_array(
           t.id, t.tenant_id, t.student_id, t.concept_id, t.version,
           mastery.microseconds(t.written_at), t.data) order by t.id), '[]')
    from taken t
$$;

-- Deletes changes that were published.
--
-- In:  ids
-- Out: [number of those that were still there]
create function public.mastery_told(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with gone as (
    delete from mastery.untold u where u.id = any (($1 ->> 'ids')::bigint[]) returning u.id)
  select json_build_array(count(*)) from gone
$$;

revoke execute on function public.mastery_untold(jsonb), public.mastery_told(jsonb)
  from public, anon, authenticated;
grant execute on function public.mastery_untold(jsonb), public.mastery_told(jsonb)
  to service_role;
