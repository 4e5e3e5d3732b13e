-- Rewrite: replaces what is stored of some learners by the result of a replay, in one transaction
-- with the corrections that made it necessary and with the changes to publish.
--
-- The learners are locked in a fixed order; one whose version is not the expected one is left
-- alone. Each of the others takes one new version, which all rows written for it here carry.
--
-- In:  tenants, students, expected
--      last_at, last_id    position of each learner's newest response that counts; null: none does
--      parameters_version  of each learner
--      active              the caller knows that another version may be active than it computed
--                          under; a caller that does not is refused
--      corrections         number of each learner's corrections afterwards
--      recount             whether to count each learner's responses anew
--      w_start, w_count    rate windows to keep for each learner, null: as they are
--      x_*                 corrections to append
--      c_*, a_*, s_*       rows to write; c_gone_*, a_gone_*, s_gone_*  rows to delete
--      every, b_*, n_*     changes of snapshots
--      u_*                 changes to publish: concept and data of the event, without its version
-- Out: [version of each learner, null for one that was left alone]
create function public.mastery_rewrite(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenants constant text[] := (request ->> 'tenants')::text[];
  students constant text[] := (request ->> 'students')::text[];
  expected constant bigint[] := (request ->> 'expected')::bigint[];
  parameters constant int[] := (request ->> 'parameters_version')::int[];
  w_start constant text[] := (request ->> 'w_start')::text[];
  w_count constant text[] := (request ->> 'w_count')::text[];
  agreed boolean[] := array_fill(false, array[cardinality(tenants)]);
  versions bigint[] := array_fill(null::bigint, array[cardinality(tenants)]);
  active int;
  n int;
begin
  foreach n in array mastery.lock_learners(tenants, students, expected) loop
    agreed[n] := true;
    versions[n] := nextval('mastery.learner_version');
  end loop;

  -- A caller without `active` would put learners back to its own version.
  active := mastery.active_version();
  if not request ? 'active' and active <> any (parameters) then
    raise exception 'version % of the parameters is active, but this call computed under others: use '
      'the version of the engine that belongs to this schema', active
      using errcode = 'object_not_in_prerequisite_state';
  end if;

  update mastery.learners as l
     set version = w.version, answered_at = w.at, response_id = w.id,
         parameters_version = w.parameters, responses = w.responses, corrections = w.corrections,
         rate_windows = coalesce(w.starts, l.rate_windows),
         rate_counts = coalesce(w.counts, l.rate_counts),
         checksum = mastery.learner_checksum(
           l.tenant_id, l.student_id, w.version, w.at, w.id, w.parameters, w.responses,
           w.corrections, coalesce(w.starts, l.rate_windows), coalesce(w.counts, l.rate_counts))
    from (select u.*, w_start[u.n]::bigint[] as starts, w_count[u.n]::int[] as counts,
                 case when not u.recount then k.responses else (
                   select count(*) from public.student_responses s
                    where s.tenant_id = u.tenant_id and s.student_id = u.student_id)::int
                 end as responses
            from unnest(tenants, students, (request ->> 'recount')::boolean[], versions,
                        (request ->> 'last_at')::timestamptz[], (request ->> 'last_id')::uuid[],
                        parameters, (request ->> 'corrections')::int[])
                 with ordinality
                 as u(tenant_id, student_id, recount, version, at, id, parameters, corrections, n),
                 lateral (select l.responses from mastery.learners l
                           where l.tenant_id = u.tenant_id and l.student_id = u.student_id
                          offset 0) as k
           where u.version is not null offset 0) as w
   where l.tenant_id = w.tenant_id and l.student_id = w.student_id;

  insert into public.response_corrections (
    tenant_id, student_id, response_id, kind, score, reason, corrected_at, version, checksum)
  select t.*, mastery.correction_checksum(
           t.tenant_id, t.student_id, t.response_id, t.kind, t.score, t.reason, t.corrected_at,
           t.version)
    from (select tenants[x.learner] as tenant_id, students[x.learner] as student_id,
                 x.id as response_id, x.kind, x.score, x.reason, now() as corrected_at,
                 versions[x.learner] as version
            from unnest((request ->> 'x_of')::int[], (request ->> 'x_id')::uuid[],
                        (request ->> 'x_kind')::text[], (request ->> 'x_score')::float8[],
                        (request ->> 'x_reason')::text[]) as x(learner, id, kind, score, reason)
           where agreed[x.learner] offset 0) as t;

  delete from public.concept_mastery as m
   using unnest((request ->> 'c_gone_of')::int[], (request ->> 'c_gone')::text[]) as g(learner, id)
   where agreed[g.learner] and m.tenant_id = tenants[g.learner]
     and m.student_id = students[g.learner] and m.concept_id = g.id;

  delete from public.student_ability as m
   using unnest((request ->> 'a_gone_of')::int[], (request ->> 'a_gone')::text[]) as g(learner, id)
   where agreed[g.learner] and m.tenant_id = tenants[g.learner]
     and m.student_id = students[g.learner] and m.scale = g.id;

  delete from public.practice_sessions as m
   using unnest((request ->> 's_gone_of')::int[], (request ->> 's_gone')::text[]) as g(learner, id)
   where agreed[g.learner] and m.tenant_id = tenants[g.learner]
     and m.student_id = students[g.learner] and m.session_id = g.id;

  perform mastery.write_states(request, tenants, students, agreed, parameters, versions);
  if request ? 'every' then
    perform mastery.write_snapshots(request, tenants, students, agreed, parameters);
  end if;

  insert into mastery.untold (tenant_id, student_id, concept_id, version, data)
  select tenants[u.learner], students[u.learner], u.concept_id, versions[u.learner], u.data::jsonb
    from unnest((request ->> 'u_of')::int[], (request ->> 'u_concept')::text[],
                (request ->> 'u_data')::text[]) with ordinality as u(learner, concept_id, data, n)
   where agreed[u.learner]
   order by u.n;

  return to_json(versions);
end $$;

revoke execute on function public.mastery_rewrite(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_rewrite(jsonb) to service_role;
