-- Privacy: export and erasure of all that is stored about a learner.

create table mastery.erasures (
  digest bytea primary key,
  until_ms bigint not null,
  refuse boolean not null,
  version bigint not null,
  unfinished boolean not null
);
comment on table mastery.erasures is
  'Erased learners, by a digest that cannot be read back: keeps what entered a stream before the '
  'erasure from coming back.';
comment on column mastery.erasures.until_ms is
  'Entries up to this time are erased: Redis''s clock, milliseconds since 1970.';
comment on column mastery.erasures.refuse is 'Whether later entries are refused as well.';
comment on column mastery.erasures.version is
  'No row or event from before the erasure has a higher version of the learner.';
comment on column mastery.erasures.unfinished is
  'Whether rows are left: until they are deleted too, nothing of the learner is committed.';
alter table mastery.erasures enable row level security;
revoke all on mastery.erasures from public, anon, authenticated;
grant all on mastery.erasures to service_role;

-- Exports a page of a learner's rows in one table, as JSON objects.
--
-- In:  tenant, student; of: the table's name; limit
--      after_id: the key of the last row of the page before, with after_at for responses,
--      after_version for corrections, and both for snapshots
-- Out: [row, ...]
create function public.mastery_held(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off
set timezone = 'UTC'
set jit = off
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  student constant text := request ->> 'student';
  after constant text := request ->> 'after_id';
  most constant int := (request ->> 'limit')::int;
  found json;
begin
  case request ->> 'of'
  when 'learners' then
    select json_agg(to_json(f)) into found
      from (select * from mastery.learners t
             where t.tenant_id = tenant and t.student_id = student and after is null) as f;
  when 'student_responses' then
    select json_agg(to_json(f)) into found
      from (select * from public.student_responses t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or (t.answered_at, t.response_id)
                                     > ((request ->> 'after_at')::timestamptz, after::uuid))
             order by t.answered_at, t.response_id limit most) as f;
  when 'response_corrections' then
    select json_agg(to_json(f)) into found
      from (select * from public.response_corrections t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or (t.version, t.response_id)
                                     > ((request ->> 'after_version')::bigint, after::uuid))
             order by t.version, t.response_id limit most) as f;
  when 'concept_mastery' then
    select json_agg(to_json(f)) into found
      from (select * from public.concept_mastery t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or t.concept_id > after)
             order by t.concept_id limit most) as f;
  when 'student_ability' then
    select json_agg(to_json(f)) into found
      from (select * from public.student_ability t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or t.scale > after)
             order by t.scale limit most) as f;
  when 'snapshots' then
    select json_agg(to_json(f)) into found
      from (select * from mastery.snapshots t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or (t.parameters_version, t.answered_at, t.response_id)
                                     > ((request ->> 'after_version')::int,
                                        (request ->> 'after_at')::timestamptz, after::uuid))
             order by t.parameters_version, t.answered_at, t.response_id limit most) as f;
  when 'practice_sessions' then
    select json_agg(to_json(f)) into found
      from (select * from public.practice_sessions t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or t.session_id > after)
             order by t.session_id limit most) as f;
  when 'untold' then
    select json_agg(to_json(f)) into found
      from (select * from mastery.untold t
             where t.tenant_id = tenant and t.student_id = student
               and (after is null or t.id > after::bigint)
             order by t.id limit most) as f;
  end case;
  return coalesce(found, '[]');
end $$;

-- Erases a learner's rows in all tables, and records the erasure. Each call deletes some rows in one
-- transaction, states before the log, and the learner's own row last. Nothing of the learner is
-- committed from the first call on until the last.
--
-- In:  tenant, student; dry_run: only count
--      until_ms   also erase what entered a stream up to then; the later of this and an earlier
--                 erasure's counts
--      refuse     whether to refuse what enters later
--      limit      the most rows to delete in this call; null: all
-- Out: version    no row or event before the erasure has a higher one
--      rows       {table: number of rows, ...}
--      done       false: rows are left, call again
create function public.mastery_erase(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  student constant text := request ->> 'student';
  tables constant text[] := array[
    'mastery.untold', 'mastery.snapshots', 'public.practice_sessions', 'public.student_ability',
    'public.concept_mastery', 'public.response_corrections', 'public.student_responses'];
  room bigint := (request ->> 'limit')::bigint;
  gone bigint;
  taken bigint;
  rows jsonb := '{}';
begin
  if coalesce((request ->> 'dry_run')::boolean, false) then
    for i in 1..cardinality(tables) loop
      execute format('select count(*) from %s t where t.tenant_id = $1 and t.student_id = $2',
                     tables[i]) into gone using tenant, student;
      rows := rows || jsonb_build_object(split_part(tables[i], '.', 2), gone);
    end loop;
    return json_build_object('version', null, 'done', true, 'rows', rows || jsonb_build_object(
      'learners', (select count(*) from mastery.learners t
                    where t.tenant_id = tenant and t.student_id = student and t.version > 0)));
  end if;

  loop
    insert into mastery.learners (tenant_id, student_id) values (tenant, student)
        on conflict do nothing;
    perform from mastery.learners l
      where l.tenant_id = tenant and l.student_id = student for update;
    exit when found; -- else another erasure has just deleted it
  end loop;
  taken := nextval('mastery.learner_version');
  insert into mastery.erasures as e (digest, until_ms, refuse, version, unfinished)
  values (mastery.learner_digest(tenant, student), (request ->> 'until_ms')::bigint,
          (request ->> 'refuse')::boolean, taken, true)
      on conflict (digest) do update
     set until_ms = greatest(e.until_ms, excluded.until_ms), refuse = excluded.refuse,
         version = excluded.version, unfinished = true;

  for i in 1..cardinality(tables) loop
    -- A ctid alone may name a row of another learner in another partition.
    execute format('delete from %1$s t where t.tenant_id = $1 and t.student_id = $2 and t.ctid = '
                   'any (array(select d.ctid from %1$s d where d.tenant_id = $1 '
                   'and d.student_id = $2 limit $3))', tables[i])
      using tenant, student, room;
    get diagnostics gone = row_count;
    rows := rows || jsonb_build_object(split_part(tables[i], '.', 2), gone);
    room := room - gone;
    exit when room = 0;
  end loop;
  if room is distinct from 0 then
    rows := rows || jsonb_build_object(
      'learners', (select count(*) from mastery.learners t
                    where t.tenant_id = tenant and t.student_id = student and t.version > 0));
    delete from mastery.learners t where t.tenant_id = tenant and t.student_id = student;
    update mastery.erasures e set unfinished = false
     where e.digest = mastery.learner_digest(tenant, student);
  end if;
  return json_build_object('version', taken, 'rows', rows, 'done', room is distinct from 0);
end $$;

-- Deletes the records of erasures that refuse nothing any more.
--
-- In:  before_ms: those up to an entry before then; milliseconds since 1970
-- Out: [number of records]
create function public.mastery_forget_erasures(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with gone as (
    delete from mastery.erasures e
     where not e.refuse and not e.unfinished and e.until_ms < ($1 ->> 'before_ms')::bigint
    returning e.digest)
  select json_build_array(count(*)) from gone
$$;

revoke execute on function public.mastery_held(jsonb), public.mastery_erase(jsonb),
  public.mastery_forget_erasures(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_held(jsonb), public.mastery_erase(jsonb),
  public.mastery_forget_erasures(jsonb) to service_role;
