-- Current values, with the responses that led to them: events that Redis lost are made from these.
--
-- All in one snapshot (the function is stable).
--
-- In:  tenants, students  the learners
--      since              only those with a response recorded at or after it; absent: all
-- Out: now        the database's clock
--      active     numbers of the learners that are answered for
--      concepts   [[n, concept_id, mastery, attempts, mastered, answered_at, version,
--                   parameters_version], ...]
--      intervals  [[n, concept_id, mastery_low, mastery_high], ...] where they are known
--      abilities  [[n, scale, theta, standard_error, version], ...]
--      surprises  [[n, scale, responses, surprise, surprise_variance], ...] of calibrated scales
--      sessions   [[n, session_id, responses, correct, version], ...]
--      responses  those whose version a row has, as `known` of mastery_load; for a concept whose
--                 version no response has, the newest response on it
create function public.mastery_current(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenants constant text[] := (request ->> 'tenants')::text[];
  students constant text[] := (request ->> 'students')::text[];
  since constant timestamptz := (request ->> 'since')::timestamptz;
  active int[];
  concepts json;
  intervals json;
  surprises json;
  abilities json;
  sessions json;
  responses json;
begin
  active := array(
    select w.n
      from generate_series(1, cardinality(tenants)) as w(n),
           lateral (select from public.student_responses s
                     where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
                       and (since is null or s.recorded_at >= since)
                     limit 1) as s
     order by w.n);

  select json_agg(json_build_array(
           w.n, m.concept_id, m.mastery, m.attempts, m.mastered,
           mastery.microseconds(m.answered_at), m.version, m.parameters_version)),
         json_agg(json_build_array(w.n, m.concept_id, m.mastery_low, m.mastery_high))
           filter (where m.mastery_low is not null)
    into concepts, intervals
    from unnest(active) as w(n),
         lateral (select * from public.concept_mastery m
                   where m.tenant_id = tenants[w.n] and m.student_id = students[w.n] offset 0) as m;

  select json_agg(json_build_array(w.n, a.scale, a.theta, a.standard_error, a.version)),
         json_agg(json_build_array(w.n, a.scale, a.responses, a.surprise, a.surprise_variance))
           filter (where a.variance is not null)
    into abilities, surprises
    from unnest(active) as w(n),
         lateral (select * from public.student_ability a
                   where a.tenant_id = tenants[w.n] and a.student_id = students[w.n] offset 0) as a;

  select json_agg(json_build_array(w.n, p.session_id, p.responses, p.correct, p.version))
    into sessions
    from unnest(active) as w(n),
         lateral (select * from public.practice_sessions p
                   where p.tenant_id = tenants[w.n] and p.student_id = students[w.n] offset 0) as p;

  select json_agg(json_build_array(
           w.n, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale, s.score,
           mastery.microseconds(s.answered_at), s.version, s.entry, s.outcome))
    into responses
    from unnest(active) as w(n),
         lateral (select array(
           select m.version from public.concept_mastery m
            where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
           union
           select a.version from public.student_ability a
            where a.tenant_id = tenants[w.n] and a.student_id = students[w.n]
           union
           select p.version from public.practice_sessions p
            where p.tenant_id = tenants[w.n] and p.student_id = students[w.n]) as versions
          offset 0) as rows,
         lateral (select array(
           select o.response_id from public.student_responses o
            where o.tenant_id = tenants[w.n] and o.student_id = students[w.n]
              and o.version = any(rows.versions)) as ids,
          array(
           select o.version from public.student_responses o
            where o.tenant_id = tenants[w.n] and o.student_id = students[w.n]
              and o.version = any(rows.versions)) as versions offset 0) as owner,
         lateral (select array(
           select newest.response_id
             from public.concept_mastery m,
                  lateral (select r.response_id from public.student_responses r
                            where r.tenant_id = m.tenant_id and r.student_id = m.student_id
                              and r.answered_at = m.answered_at
                              and m.concept_id = any(r.concept_ids)
                            order by r.response_id desc
                            limit 1) as newest
            where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
              and m.version <> all(owner.versions)) as ids offset 0) as other,
         lateral (select * from public.student_responses s
                   where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
                     and s.response_id = any(owner.ids || other.ids) offset 0) as s;

  return json_build_object(
    'now', mastery.microseconds(clock_timestamp()), 'active', to_json(active),
    'concepts', coalesce(concepts, '[]'), 'intervals', coalesce(intervals, '[]'),
    'surprises', coalesce(surprises, '[]'), 'abilities', coalesce(abilities, '[]'),
    'sessions', coalesce(sessions, '[]'), 'responses', coalesce(responses, '[]'));
end $$;

revoke execute on function public.mastery_current(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_current(jsonb) to service_role;

-- A page of one learner's current values, in the order of their names, in one snapshot.
--
-- In:  tenant, student  the learner
--      limit            the most rows of each kind
--      concept, scale   the last ones of the page before; absent: from the beginning
-- Out: concepts   [[concept_id, mastery, attempts, mastered, answered_at, version,
--                   parameters_version, mastery_low, mastery_high], ...]
--      abilities  [[scale, theta, standard_error, version, responses, variance, surprise,
--                   surprise_variance], ...]
create function public.mastery_values(jsonb) returns json
language sql stable security invoker set search_path = ''
as $$
  select json_build_object(
    'concepts', (
      select coalesce(json_agg(json_build_array(
               m.concept_id, m.mastery, m.attempts, m.mastered, mastery.microseconds(m.answered_at),
               m.version, m.parameters_version, m.mastery_low, m.mastery_high)), '[]')
        from (select * from public.concept_mastery c
               where c.tenant_id = $1 ->> 'tenant' and c.student_id = $1 ->> 'student'
                 and c.concept_id > coalesce($1 ->> 'concept', '')
               order by c.concept_id
               limit ($1 ->> 'limit')::int) as m),
    'abilities', (
      select coalesce(json_agg(json_build_array(
               a.scale, a.theta, a.standard_error, a.version, a.responses, a.variance, a.surprise,
               a.surprise_variance)), '[]')
        from (select * from public.student_ability s
               where s.tenant_id = $1 ->> 'tenant' and s.student_id = $1 ->> 'student'
                 and s.scale > coalesce($1 ->> 'scale', '')
               order by s.scale
               limit ($1 ->> 'limit')::int) as a))
$$;

revoke execute on function public.mastery_values(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_values(jsonb) to service_role;
