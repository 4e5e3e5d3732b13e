-- Calibration: the log of all learners in pages, and the finished stages of a run.

create table mastery.calibration_stages (
  run uuid not null,
  stage text collate "C" not null,
  document text not null,
  written_at timestamptz not null,
  checksum bigint not null,
  primary key (run, stage)
);
comment on table mastery.calibration_stages is
  'Finished stages of calibration runs, from which a stopped run resumes. Sums over all learners, '
  'no single answer; deleted when the run ends.';
alter table mastery.calibration_stages enable row level security;
revoke all on mastery.calibration_stages from public, anon, authenticated;
grant all on mastery.calibration_stages to service_role;

create function mastery.stage_checksum(
  run uuid, stage text, document text, written_at timestamptz) returns bigint
language sql immutable parallel safe
return pg_catalog.hash_record_extended(row(run, stage, document, written_at), 0);

-- Returns a page of the effective log, of whole learners in the order of their keys.
--
-- In:  limit         at most so many learners
--      responses     stop before a learner (but the first) with whom the page would exceed so many
--      after_tenant, after_student: the last learner of the page before
--      until_us      only what was recorded and corrected up to then, microseconds since 1970
-- Out: learners      [[tenant, student], ...]; none: there are no more
--      log           [[n, item_id, concept_ids, scale, score, answered_at], ...] in their order
create function public.mastery_logs(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  until_us constant bigint := coalesce((request ->> 'until_us')::bigint, 9223372036854775807);
  tenants text[];
  students text[];
  learners json;
  log json;
begin
  select array_agg(p.tenant_id order by p.n), array_agg(p.student_id order by p.n),
         json_agg(json_build_array(p.tenant_id, p.student_id) order by p.n)
    into tenants, students, learners
    from (select l.tenant_id, l.student_id, row_number() over in_order as n,
                 -- 50 is usual; a learner without a count is rare.
                 sum(coalesce(l.responses, 50)) over in_order as responses
            from (select k.tenant_id, k.student_id, k.responses
                    from mastery.learners k
                   where (k.tenant_id, k.student_id)
                         > (coalesce(request ->> 'after_tenant', ''),
                            coalesce(request ->> 'after_student', ''))
                   order by k.tenant_id, k.student_id
                   limit (request ->> 'limit')::int) as l
          window in_order as (order by l.tenant_id, l.student_id)) as p
   where p.n = 1 or p.responses <= (request ->> 'responses')::bigint;

  select json_agg(json_build_array(
           w.n, s.item_id, s.concept_ids, s.scale, coalesce(k.score, s.score),
           mastery.microseconds(s.answered_at)) order by w.n, s.answered_at, s.response_id)
    into log
    from generate_series(1, cardinality(tenants)) as w(n)
         cross join lateral (
           select * from public.student_responses s
            where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
              and mastery.microseconds(s.recorded_at) <= until_us
           offset 0) as s
         left join lateral (
           select k.kind, k.score from public.response_corrections k
            where k.tenant_id = tenants[w.n] and k.student_id = students[w.n]
              and k.response_id = s.response_id
              and mastery.microseconds(k.corrected_at) <= until_us
            order by k.version desc limit 1) as k on true
   where k.kind is distinct from 'void';

  return json_build_object('learners', coalesce(learners, '[]'), 'log', coalesce(log, '[]'));
end $$;

-- Returns the stages of a run, or all of one name, the newest first; without those that were
-- altered.
--
-- In:  run or stage
-- Out: [[run, stage, document], ...]
create function public.mastery_stages(jsonb) returns json
language sql stable security invoker set search_path = ''
as $$
  select coalesce(json_agg(json_build_array(s.run, s.stage, s.document)
                           order by s.written_at desc, s.run), '[]')
    from mastery.calibration_stages s
   where (not $1 ? 'run' or s.run = ($1 ->> 'run')::uuid)
     and (not $1 ? 'stage' or s.stage = $1 ->> 'stage')
     and s.checksum = mastery.stage_checksum(s.run, s.stage, s.document, s.written_at)
$$;

-- Stores the result of a stage, in place of an earlier one.
--
-- In:  run, stage, document
-- Out: [1]
create function public.mastery_keep_stage(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with kept as (
    insert into mastery.calibration_stages as s (run, stage, document, written_at, checksum)
    select g.*, mastery.stage_checksum(g.run, g.stage, g.document, g.written_at)
      from (select ($1 ->> 'run')::uuid as run, $1 ->> 'stage' as stage,
                   $1 ->> 'document' as document, now() as written_at) as g
        on conflict (run, stage) do update
       set document = excluded.document, written_at = excluded.written_at,
           checksum = excluded.checksum
    returning s.run)
  select json_build_array(count(*)) from kept
$$;

-- Deletes the stages of a run, or those of abandoned runs.
--
-- In:  run; or idle_s: all of runs whose newest stage is older, seconds
-- Out: [number of stages]
create function public.mastery_forget_stages(jsonb) returns json
language sql volatile security invoker set search_path = ''
as $$
  with gone as (
    delete from mastery.calibration_stages s
     where case when $1 ? 'run' then s.run = ($1 ->> 'run')::uuid
                else not exists (
                  select from mastery.calibration_stages t
                   where t.run = s.run
                     and t.written_at >= now() - make_interval(secs => ($1 ->> 'idle_s')::float8))
           end
    returning s.run)
  select json_build_array(count(*)) from gone
$$;

revoke execute on function
  public.mastery_logs(jsonb), public.mastery_stages(jsonb), public.mastery_keep_stage(jsonb),
  public.mastery_forget_stages(jsonb), mastery.stage_checksum(uuid, text, text, timestamptz)
  from public, anon, authenticated;
grant execute on function
  public.mastery_logs(jsonb), public.mastery_stages(jsonb), public.mastery_keep_stage(jsonb),
  public.mastery_forget_stages(jsonb), mastery.stage_checksum(uuid, text, text, timestamptz)
  to service_role;
