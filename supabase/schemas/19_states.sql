-- States: reads and writes the columns of concepts, abilities and sessions for the other functions.
--
-- Call the functions of a row where its table is read: only there does Postgres inline them.

-- A row as `mastery_load` answers it; n is the number of its learner.
create function mastery.concept_state(n int, r public.concept_mastery) returns json
language sql stable parallel safe
return json_build_array(
  n, r.concept_id, r.odds_mantissa, r.odds_exponent, r.attempts,
  mastery.microseconds(r.answered_at), r.mastery, r.mastered, r.version, r.parameters_version,
  r.deviation, r.deviation_variance, r.gradient, r.recent, r.lasting);

create function mastery.ability_state(n int, r public.student_ability) returns json
language sql stable parallel safe
return json_build_array(
  n, r.scale, r.responses, r.score, r.theta, r.standard_error, r.version, r.parameters_version,
  r.variance, r.surprise, r.surprise_variance);

create function mastery.session_state(n int, r public.practice_sessions) returns json
language sql stable parallel safe
return json_build_array(
  n, r.session_id, r.responses, r.correct, mastery.microseconds(r.started_at),
  mastery.microseconds(r.ended_at), r.version);

-- The checksum that the columns of a row give.
create function mastery.row_checksum(r public.concept_mastery) returns bigint
language sql immutable parallel safe
return mastery.concept_checksum(
  r.tenant_id, r.student_id, r.concept_id, r.mastery, r.attempts, r.mastered, r.answered_at,
  r.version, r.parameters_version, r.odds_mantissa, r.odds_exponent, r.deviation,
  r.deviation_variance, r.gradient, r.recent, r.lasting, r.mastery_low, r.mastery_high);

create function mastery.row_checksum(r public.student_ability) returns bigint
language sql immutable parallel safe
return mastery.ability_checksum(
  r.tenant_id, r.student_id, r.scale, r.theta, r.standard_error, r.responses, r.version,
  r.parameters_version, r.score, r.variance, r.surprise, r.surprise_variance);

create function mastery.row_checksum(r public.practice_sessions) returns bigint
language sql immutable parallel safe
return mastery.session_checksum(
  r.tenant_id, r.student_id, r.session_id, r.responses, r.correct, r.started_at, r.ended_at,
  r.version);

revoke execute on function
  mastery.concept_state, mastery.ability_state, mastery.session_state,
  mastery.row_checksum(public.concept_mastery), mastery.row_checksum(public.student_ability),
  mastery.row_checksum(public.practice_sessions) from public, anon, authenticated;
grant execute on function
  mastery.concept_state, mastery.ability_state, mastery.session_state,
  mastery.row_checksum(public.concept_mastery), mastery.row_checksum(public.student_ability),
  mastery.row_checksum(public.practice_sessions) to service_role;

-- Writes rows, for commit and rewrite.
--
-- In:  request           c_*, a_*, s_*: the rows, each with the number of its learner
--                        p_of: learners whose unchanged rows take the version of the parameters too
--      tenants, students, agreed, parameters   of each learner; only rows of those who agreed are
--                        written
--      versions          of each response, where the request has c_by, a_by and s_by: the number of
--                        the response that each row comes from; else of each learner
-- The settings of the planner are the caller's.
create function mastery.write_states(
  request jsonb, tenants text[], students text[], agreed boolean[], parameters int[],
  versions bigint[]) returns void
language plpgsql volatile security invoker
set search_path = ''
as $$
declare
  n int;
begin
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
                 versions[coalesce(c.by, c.learner)] as version,
                 parameters[c.learner] as parameters_version, c.mantissa as odds_mantissa,
                 c.exponent as odds_exponent, c.deviation, c.deviation_variance,
                 c.gradient::float8[] as gradient, c.recent, c.lasting, c.low as mastery_low,
                 c.high as mastery_high
            from unnest((request ->> 'c_of')::int[], (request ->> 'c_concept')::text[],
                        (request ->> 'c_mastery')::float8[], (request ->> 'c_attempts')::int[],
                        (request ->> 'c_mastered')::boolean[], (request ->> 'c_at')::timestamptz[],
                        (request ->> 'c_by')::int[], (request ->> 'c_mantissa')::float8[],
                        (request ->> 'c_exponent')::int[], (request ->> 'c_deviation')::float8[],
                        (request ->> 'c_deviation_variance')::float8[],
                        (request ->> 'c_gradient')::text[], (request ->> 'c_recent')::float8[],
                        (request ->> 'c_lasting')::float8[], (request ->> 'c_low')::float8[],
                        (request ->> 'c_high')::float8[])
                 as c(learner, concept_id, mastery, attempts, mastered, at, by, mantissa, exponent,
                      deviation, deviation_variance, gradient, recent, lasting, low, high)
           where agreed[c.learner] offset 0) as t
      on conflict (tenant_id, student_id, concept_id) do update
     set mastery = excluded.mastery, attempts = excluded.attempts, mastered = excluded.mastered,
         answered_at = excluded.answered_at, version = excluded.version,
         parameters_version = excluded.parameters_version,
         odds_mantissa = excluded.odds_mantissa, odds_exponent = excluded.odds_exponent,
         deviation = excluded.deviation, deviation_variance = excluded.deviation_variance,
         gradient = excluded.gradient, recent = excluded.recent, lasting = excluded.lasting,
         mastery_low = excluded.mastery_low, mastery_high = excluded.mastery_high,
         checksum = excluded.checksum;

  insert into public.student_ability as m (
    tenant_id, student_id, scale, theta, standard_error, responses, version, parameters_version,
    score, variance, surprise, surprise_variance, checksum)
  select t.*, mastery.ability_checksum(
           t.tenant_id, t.student_id, t.scale, t.theta, t.standard_error, t.responses, t.version,
           t.parameters_version, t.score, t.variance, t.surprise, t.surprise_variance)
    from (select tenants[a.learner] as tenant_id, students[a.learner] as student_id, a.scale,
                 a.theta, a.standard_error, a.responses,
                 versions[coalesce(a.by, a.learner)] as version,
                 parameters[a.learner] as parameters_version, a.score, a.variance, a.surprise,
                 a.surprise_variance
            from unnest((request ->> 'a_of')::int[], (request ->> 'a_scale')::text[],
                        (request ->> 'a_theta')::float8[],
                        (request ->> 'a_standard_error')::float8[],
                        (request ->> 'a_responses')::int[], (request ->> 'a_score')::float8[],
                        (request ->> 'a_by')::int[], (request ->> 'a_variance')::float8[],
                        (request ->> 'a_surprise')::float8[],
                        (request ->> 'a_surprise_variance')::float8[])
                 as a(learner, scale, theta, standard_error, responses, score, by, variance,
                      surprise, surprise_variance)
           where agreed[a.learner] offset 0) as t
      on conflict (tenant_id, student_id, scale) do update
     set theta = excluded.theta, standard_error = excluded.standard_error,
         responses = excluded.responses, version = excluded.version,
         parameters_version = excluded.parameters_version, score = excluded.score,
         variance = excluded.variance, surprise = excluded.surprise,
         surprise_variance = excluded.surprise_variance,
         checksum = excluded.checksum;

  insert into public.practice_sessions as m (
    tenant_id, student_id, session_id, responses, correct, started_at, ended_at, version,
    checksum)
  select t.*, mastery.session_checksum(
           t.tenant_id, t.student_id, t.session_id, t.responses, t.correct, t.started_at,
           t.ended_at, t.version)
    from (select tenants[s.learner] as tenant_id, students[s.learner] as student_id, s.session_id,
                 s.responses, s.correct, s.started_at, s.ended_at,
                 versions[coalesce(s.by, s.learner)] as version
            from unnest((request ->> 's_of')::int[], (request ->> 's_session')::text[],
                        (request ->> 's_responses')::int[], (request ->> 's_correct')::int[],
                        (request ->> 's_started')::timestamptz[],
                        (request ->> 's_ended')::timestamptz[],
                        (request ->> 's_by')::int[])
                 as s(learner, session_id, responses, correct, started_at, ended_at, by)
           where agreed[s.learner] offset 0) as t
      on conflict (tenant_id, student_id, session_id) do update
     set responses = excluded.responses, correct = excluded.correct,
         started_at = excluded.started_at, ended_at = excluded.ended_at,
         version = excluded.version, checksum = excluded.checksum;

  -- Rows that a replay under other parameters left as they were take their version too.
  for n in select w.n from unnest((request ->> 'p_of')::int[]) as w(n) where agreed[w.n] loop
    update public.concept_mastery as m
       set parameters_version = parameters[n],
           checksum = mastery.concept_checksum(
             m.tenant_id, m.student_id, m.concept_id, m.mastery, m.attempts, m.mastered,
             m.answered_at, m.version, parameters[n], m.odds_mantissa, m.odds_exponent, m.deviation,
             m.deviation_variance, m.gradient, m.recent, m.lasting, m.mastery_low, m.mastery_high)
     where m.tenant_id = tenants[n] and m.student_id = students[n]
       and m.parameters_version <> parameters[n];
    update public.student_ability as m
       set parameters_version = parameters[n],
           checksum = mastery.ability_checksum(
             m.tenant_id, m.student_id, m.scale, m.theta, m.standard_error, m.responses,
             m.version, parameters[n], m.score, m.variance, m.surprise, m.surprise_variance)
     where m.tenant_id = tenants[n] and m.student_id = students[n]
       and m.parameters_version <> parameters[n];
  end loop;
end $$;

revoke execute on function mastery.write_states from public, anon, authenticated;
grant execute on function mastery.write_states to service_role;
