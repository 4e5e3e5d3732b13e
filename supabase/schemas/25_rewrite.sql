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
--      u_*                 changes to publish: concept and data of the event, without its version
-- Out: [version of each learner, null for one that was left alone]
create function public.mastery_rewrite(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
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
  versions bigint[] := array_fill(null::bigint, array[cardinality(tenants)]);
  active int;
  n int;
begin
  insert into mastery.learners (tenant_id, student_id)
  select t.tenant_id, t.student_id
    from unnest(tenants, students, expected) as t(tenant_id, student_id, version)
   where t.version = 0
   order by t.tenant_id collate "C", t.student_id collate "C"
      on conflict do nothing;

  for n in
    select w.n
      from (select * from unnest(tenants, students, expected)
                     with ordinality as u(tenant_id, student_id, version, n)
             order by u.tenant_id collate "C", u.student_id collate "C") as w,
           lateral (select from mastery.learners l
                     where l.tenant_id = w.tenant_id and l.student_id = w.student_id
                       and l.version = w.version
                       for update) as l
  loop
    versions[n] := nextval('mastery.learner_version');
  end loop;

  -- Who knows of no other version would put learners back to its own.
  active := mastery.active_version();
  if not request ? 'active' and active <> any (parameters) then
    raise exception 'parameters of version % are active, who asks knows others alone: use the version '
      'of the engine that is of this schema', active
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
           where u.version is not null
          offset 0) as w
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
           where versions[x.learner] is not null
          offset 0) as t;

  delete from public.concept_mastery as m
   using unnest((request ->> 'c_gone_of')::int[], (request ->> 'c_gone')::text[]) as g(learner, id)
   where versions[g.learner] is not null and m.tenant_id = tenants[g.learner]
     and m.student_id = students[g.learner] and m.concept_id = g.id;

  insert into public.concept_mastery as m (
    tenant_id, student_id, concept_id, mastery, attempts, mastered, answered_at, version,
    parameters_version, odds_mantissa, odds_exponent, deviation, deviation_variance, gradient,
    recent, lasting, mastery_low, mastery_high, checksum)
  select t.*, mastery.concept_checksum(
           t.tenant_id, t.student_id, t.concept_id, t.mastery, t.attempts, t.mastered,
           t.answered_at, t.version, t.parameters_version, t.odds_mantissa, t.odds_exponent,
           t.deviation, t.deviation_variance, t.gradient, t.recent, t.lasting, t.mastery_low,
           t.mastery_high)
    from (select tenants[c.learner] as tenant_id, students[c.learner] as student_id, c.concept_id,
                 c.mastery, c.attempts, c.mastered, c.at as answered_at,
                 versions[c.learner] as version, parameters[c.learner] as parameters_version,
                 c.mantissa as odds_mantissa, c.exponent as odds_exponent, c.deviation,
                 c.deviation_variance, c.gradient::float8[] as gradient, c.recent, c.lasting,
                 c.low as mastery_low, c.high as mastery_high
            from unnest((request ->> 'c_of')::int[], (request ->> 'c_concept')::text[],
                        (request ->> 'c_mastery')::float8[], (request ->> 'c_attempts')::int[],
                        (request ->> 'c_mastered')::boolean[], (request ->> 'c_at')::timestamptz[],
                        (request ->> 'c_mantissa')::float8[], (request ->> 'c_exponent')::int[],
                        (request ->> 'c_deviation')::float8[],
                        (request ->> 'c_deviation_variance')::float8[],
                        (request ->> 'c_gradient')::text[], (request ->> 'c_recent')::float8[],
                        (request ->> 'c_lasting')::float8[], (request ->> 'c_low')::float8[],
                        (request ->> 'c_high')::float8[])
                 as c(learner, concept_id, mastery, attempts, mastered, at, mantissa, exponent,
                      deviation, deviation_variance, gradient, recent, lasting, low, high)
           where versions[c.learner] is not null
          offset 0) as t
      on conflict (tenant_id, student_id, concept_id) do update
     set mastery = excluded.mastery, attempts = excluded.attempts, mastered = excluded.mastered,
         answered_at = excluded.answered_at, version = excluded.version,
         parameters_version = excluded.parameters_version,
         odds_mantissa = excluded.odds_mantissa, odds_exponent = excluded.odds_exponent,
         deviation = excluded.deviation, deviation_variance = excluded.deviation_variance,
         gradient = excluded.gradient, recent = excluded.recent, lasting = excluded.lasting,
         mastery_low = excluded.mastery_low, mastery_high = excluded.mastery_high,
         checksum = excluded.checksum;

  delete from public.student_ability as m
   using unnest((request ->> 'a_gone_of')::int[], (request ->> 'a_gone')::text[]) as g(learner, id)
   where versions[g.learner] is not null and m.tenant_id = tenants[g.learner]
     and m.student_id = students[g.learner] and m.scale = g.id;

  insert into public.student_ability as m (
    tenant_id, student_id, scale, theta, standard_error, responses, version, parameters_version,
    score, variance, surprise, surprise_variance, checksum)
  select t.*, mastery.ability_checksum(
           t.tenant_id, t.student_id, t.scale, t.theta, t.standard_error, t.responses, t.version,
           t.parameters_version, t.score, t.variance, t.surprise, t.surprise_variance)
    from (select tenants[a.learner] as tenant_id, students[a.learner] as student_id, a.scale,
                 a.theta, a.standard_error, a.responses, versions[a.learner] as version,
                 parameters[a.learner] as parameters_version, a.score, a.variance, a.surprise,
                 a.surprise_variance
            from unnest((request ->> 'a_of')::int[], (request ->> 'a_scale')::text[],
                        (request ->> 'a_theta')::float8[],
                        (request ->> 'a_standard_error')::float8[],
                        (request ->> 'a_responses')::int[], (request ->> 'a_score')::float8[],
                        (request ->> 'a_variance')::float8[],
                        (request ->> 'a_surprise')::float8[],
                        (request ->> 'a_surprise_variance')::float8[])
                 as a(learner, scale, theta, standard_error, responses, score, variance, surprise,
                      surprise_variance)
           where versions[a.learner] is not null
          offset 0) as t
      on conflict (tenant_id, student_id, scale) do update
     set theta = excluded.theta, standard_error = excluded.standard_error,
         responses = excluded.responses, version = excluded.version,
         parameters_version = excluded.parameters_version, score = excluded.score,
         variance = excluded.variance, surprise = excluded.surprise,
         surprise_variance = excluded.surprise_variance,
         checksum = excluded.checksum;

  delete from public.practice_sessions as m
   using unnest((request ->> 's_gone_of')::int[], (request ->> 's_gone')::text[]) as g(learner, id)
   where versions[g.learner] is not null and m.tenant_id = tenants[g.learner]
     and m.student_id = students[g.learner] and m.session_id = g.id;

  insert into public.practice_sessions as m (
    tenant_id, student_id, session_id, responses, correct, started_at, ended_at, version,
    checksum)
  select t.*, mastery.session_checksum(
           t.tenant_id, t.student_id, t.session_id, t.responses, t.correct, t.started_at,
           t.ended_at, t.version)
    from (select tenants[s.learner] as tenant_id, students[s.learner] as student_id, s.session_id,
                 s.responses, s.correct, s.started_at, s.ended_at, versions[s.learner] as version
            from unnest((request ->> 's_of')::int[], (request ->> 's_session')::text[],
                        (request ->> 's_responses')::int[], (request ->> 's_correct')::int[],
                        (request ->> 's_started')::timestamptz[],
                        (request ->> 's_ended')::timestamptz[])
                 as s(learner, session_id, responses, correct, started_at, ended_at)
           where versions[s.learner] is not null
          offset 0) as t
      on conflict (tenant_id, student_id, session_id) do update
     set responses = excluded.responses, correct = excluded.correct,
         started_at = excluded.started_at, ended_at = excluded.ended_at,
         version = excluded.version, checksum = excluded.checksum;

  insert into mastery.untold (tenant_id, student_id, concept_id, version, data)
  select tenants[u.learner], students[u.learner], u.concept_id, versions[u.learner], u.data::jsonb
    from unnest((request ->> 'u_of')::int[], (request ->> 'u_concept')::text[],
                (request ->> 'u_data')::text[]) with ordinality as u(learner, concept_id, data, n)
   where versions[u.learner] is not null
   order by u.n;

  return to_json(versions);
end $$;

revoke execute on function public.mastery_rewrite(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_rewrite(jsonb) to service_role;
