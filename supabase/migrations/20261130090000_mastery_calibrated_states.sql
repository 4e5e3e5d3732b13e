-- States under calibrated parameters: what they know beyond mastery and ability.
--
-- Columns that only such states fill are null in all others, whose rows and checksums stay as they
-- are: workers of the version before go on while the parameters are the built-in ones.

-- Every commit and every load of a worker begins there, so that none of them holds a later table
-- while this waits for an earlier one.
lock table mastery.learners in access exclusive mode;

alter table public.concept_mastery
  add column deviation float8,
  add column deviation_variance float8 check (deviation_variance >= 0),
  add column gradient float8[],
  add column recent float8,
  add column lasting float8,
  add column mastery_low float8 check (mastery_low between 0 and 1),
  add column mastery_high float8 check (mastery_high between 0 and 1);
alter table public.student_ability
  add column variance float8 check (variance > 0),
  add column surprise float8,
  add column surprise_variance float8 check (surprise_variance >= 0);
comment on column public.concept_mastery.deviation is
  'How far ability on the concept lies from ability on the scale: mean, logits. Null: 0.';
comment on column public.concept_mastery.deviation_variance is 'Variance of the same. Null: 0.';
comment on column public.concept_mastery.gradient is
  'Derivative of the log odds of knowing by each of the concept''s parameters. Null: they have no '
  'uncertainty that is known.';
comment on column public.concept_mastery.recent is
  'Sum of (score - 0.5) over the answers on the concept, each at half the weight of the one after '
  'it. Null: 0.';
comment on column public.concept_mastery.lasting is
  'The same over a longer past: each at 0.85 of the weight of the one after it. Null: 0.';
comment on column public.concept_mastery.mastery_low is
  'Lower end of the 95 % credible interval of the mastery. Null: not known.';
comment on column public.concept_mastery.mastery_high is 'Its upper end.';
comment on column public.student_ability.variance is
  'On a calibrated scale the posterior variance, of which theta is the mean. Null: not calibrated.';
comment on column public.student_ability.surprise is
  'On a calibrated scale the log likelihood of all answers less what the predictions made expect '
  'of it, nats.';
comment on column public.student_ability.surprise_variance is 'Variance of the same, nats squared.';

-- Of a row without anything calibrated the checksum is the one of before, so that rows of before
-- stay sealed. Those functions stay for calls that were under way when these came.
create function mastery.concept_checksum(
  tenant_id text, student_id text, concept_id text, mastery float8, attempts int,
  mastered boolean, answered_at timestamptz, version bigint, parameters_version int,
  odds_mantissa float8, odds_exponent int, deviation float8, deviation_variance float8,
  gradient float8[], recent float8, lasting float8, mastery_low float8, mastery_high float8)
returns bigint
language sql immutable parallel safe
return case
  when deviation is null and deviation_variance is null and gradient is null
       and recent is null and lasting is null and mastery_low is null and mastery_high is null
  then pg_catalog.hash_record_extended(
    row(tenant_id, student_id, concept_id, mastery, attempts, mastered, answered_at, version,
        parameters_version, odds_mantissa, odds_exponent), 0)
  else pg_catalog.hash_record_extended(
    row(tenant_id, student_id, concept_id, mastery, attempts, mastered, answered_at, version,
        parameters_version, odds_mantissa, odds_exponent, deviation, deviation_variance, gradient,
        recent, lasting, mastery_low, mastery_high), 0)
end;

create function mastery.ability_checksum(
  tenant_id text, student_id text, scale text, theta float8, standard_error float8, responses int,
  version bigint, parameters_version int, score float8, variance float8, surprise float8,
  surprise_variance float8) returns bigint
language sql immutable parallel safe
return case
  when variance is null and surprise is null and surprise_variance is null
  then pg_catalog.hash_record_extended(
    row(tenant_id, student_id, scale, theta, standard_error, responses, version,
        parameters_version, score), 0)
  else pg_catalog.hash_record_extended(
    row(tenant_id, student_id, scale, theta, standard_error, responses, version,
        parameters_version, score, variance, surprise, surprise_variance), 0)
end;

-- Load and commit -----------------------------------------------------------------------------
--
-- As before, and a request without the new names is answered as before. New in load:
--
-- Out: concepts   their rows end with deviation, deviation_variance, gradient, recent, lasting
--      abilities  their rows end with variance, surprise, surprise_variance
--      active     the version of the parameters that states are wanted under: a learner whose
--                 state is under another is logged, whatever version the request names; where the
--                 request has no `active`, under another than it names
--
-- New in commit, and in rewrite alike:
--
-- In:  c_deviation, c_deviation_variance, c_gradient, c_recent, c_lasting, c_low, c_high;
--      a_variance, a_surprise, a_surprise_variance: null, or left out where all of them are
--      load.active, in rewrite active: who asks knows that another version may be active than it
--                 computed under. Then all that it commits are conflicts, and what it rewrites is
--                 outdated; one that does not know is refused.

create or replace function public.mastery_load(jsonb) returns json
language plpgsql stable security invoker
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
  everything constant boolean := coalesce((request ->> 'whole')::boolean, false);
  asked constant int[] := case when request ? 'only'
    then (request ->> 'only')::int[]
    else array(select generate_series(1, cardinality((request ->> 'tenants')::text[]))) end;
  chosen boolean[] := array_fill(false, array[greatest(cardinality(tenants), 1)]);
  wanted int;
  asker int;
  logged int[];
  full_state boolean[] := array_fill(false, array[greatest(cardinality(tenants), 1)]);
  n int;
  learners json;
  rates json;
  older json;
  erased json;
  known json;
  log json;
  concepts json;
  abilities json;
  sessions json;
begin
  foreach n in array asked loop
    chosen[n] := true;
  end loop;

  select json_agg(json_build_array(
           w.n, l.version, mastery.microseconds(l.answered_at), l.response_id, l.parameters_version)),
         json_agg(json_build_array(w.n, l.rate_windows, l.rate_counts))
           filter (where l.rate_windows is not null)
    into learners, rates
    from unnest(asked) as w(n),
         lateral (select * from mastery.learners l
                   where l.tenant_id = tenants[w.n] and l.student_id = students[w.n]
                  offset 0) as l;
  wanted := mastery.active_version();
  -- Who knows nothing of active versions computes under its own, and needs the log for that.
  asker := case when request ? 'active' then wanted else (request ->> 'parameters_version')::int end;

  if request ? 'r_window' then
    -- Windows older than those that are kept: a batch that was left behind for long.
    select json_agg(json_build_array(o.learner, o.starts, o.counted))
      into older
      from (select r.learner, r.starts,
                   (select count(*) from public.student_responses s
                     where s.tenant_id = tenants[r.learner] and s.student_id = students[r.learner]
                       and (s.outcome ->> 'window')::bigint = r.starts) as counted
              from (select distinct u.learner, u.starts
                      from unnest((request ->> 'r_of')::int[], (request ->> 'r_window')::bigint[])
                           as u(learner, starts)
                     where u.starts is not null and chosen[u.learner]
                    offset 0) as r,
                   lateral (select from mastery.learners l
                             where l.tenant_id = tenants[r.learner]
                               and l.student_id = students[r.learner]
                               and r.starts < l.rate_windows[1]
                            offset 0) as l) as o;
  end if;

  if exists (select from mastery.erasures) then
    select json_agg(json_build_array(w.n, e.until_ms, e.refuse))
      into erased
      from unnest(asked) as w(n),
           lateral (select * from mastery.erasures e
                     where e.digest = mastery.learner_digest(tenants[w.n], students[w.n])
                    offset 0) as e;
  end if;

  if everything then
    logged := asked;
  else
    select json_agg(json_build_array(
             r.learner, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale, s.score,
             mastery.microseconds(s.answered_at), s.version, s.entry, s.outcome))
      into known
      from unnest((request ->> 'r_of')::int[], (request ->> 'r_id')::uuid[]) as r(learner, id),
           lateral (select * from public.student_responses s
                     where s.tenant_id = tenants[r.learner] and s.student_id = students[r.learner]
                       and s.response_id = r.id
                    offset 0) as s
     where chosen[r.learner];

    logged := array(
      select distinct r.learner
        from unnest((request ->> 'r_of')::int[], (request ->> 'r_id')::uuid[],
                    (request ->> 'r_at')::timestamptz[]) as r(learner, id, at),
             lateral (select from mastery.learners l
                       where l.tenant_id = tenants[r.learner] and l.student_id = students[r.learner]
                         and l.answered_at is not null
                         and ((r.at, r.id) < (l.answered_at, l.response_id)
                              or l.parameters_version <> asker)
                      offset 0) as late
       where chosen[r.learner]
         and not exists (
           select from public.student_responses s
            where s.tenant_id = tenants[r.learner] and s.student_id = students[r.learner]
              and s.response_id = r.id
           offset 0));
  end if;

  foreach n in array logged loop
    full_state[n] := true;
  end loop;

  select json_agg(json_build_array(
           w.n, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale,
           coalesce(k.score, s.score), mastery.microseconds(s.answered_at)))
    into log
    from unnest(logged) as w(n)
         cross join lateral (
           select * from public.student_responses s
            where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
           offset 0) as s
         left join lateral (
           select k.kind, k.score from public.response_corrections k
            where k.tenant_id = tenants[w.n] and k.student_id = students[w.n]
              and k.response_id = s.response_id
            order by k.version desc limit 1) as k on true
   where k.kind is distinct from 'void';

  select json_agg(json_build_array(
           c.learner, c.concept_id, c.odds_mantissa, c.odds_exponent, c.attempts,
           mastery.microseconds(c.answered_at), c.mastery, c.mastered, c.version,
           c.parameters_version, c.deviation, c.deviation_variance, c.gradient, c.recent,
           c.lasting))
    into concepts
    from (select t.learner, m.*
            from unnest((request ->> 'c_of')::int[], (request ->> 'c_id')::text[]) as t(learner, id),
                 lateral (select * from public.concept_mastery m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.concept_id = t.id
                          offset 0) as m
           where chosen[t.learner] and not full_state[t.learner]
          union all
          select w.n, m.*
            from unnest(logged) as w(n),
                 lateral (select * from public.concept_mastery m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                          offset 0) as m) as c;

  select json_agg(json_build_array(
           a.learner, a.scale, a.responses, a.score, a.theta, a.standard_error, a.version,
           a.parameters_version, a.variance, a.surprise, a.surprise_variance))
    into abilities
    from (select t.learner, m.*
            from unnest((request ->> 'a_of')::int[], (request ->> 'a_id')::text[]) as t(learner, id),
                 lateral (select * from public.student_ability m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.scale = t.id
                          offset 0) as m
           where chosen[t.learner] and not full_state[t.learner]
          union all
          select w.n, m.*
            from unnest(logged) as w(n),
                 lateral (select * from public.student_ability m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                          offset 0) as m) as a;

  select json_agg(json_build_array(
           p.learner, p.session_id, p.responses, p.correct,
           mastery.microseconds(p.started_at), mastery.microseconds(p.ended_at), p.version))
    into sessions
    from (select t.learner, m.*
            from unnest((request ->> 's_of')::int[], (request ->> 's_id')::text[]) as t(learner, id),
                 lateral (select * from public.practice_sessions m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.session_id = t.id
                          offset 0) as m
           where chosen[t.learner] and not full_state[t.learner]
          union all
          select w.n, m.*
            from unnest(logged) as w(n),
                 lateral (select * from public.practice_sessions m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                          offset 0) as m) as p;

  return json_build_object(
    'learners', coalesce(learners, '[]'), 'known', coalesce(known, '[]'),
    'logged', to_json(logged), 'log', coalesce(log, '[]'),
    'concepts', coalesce(concepts, '[]'), 'abilities', coalesce(abilities, '[]'),
    'sessions', coalesce(sessions, '[]'), 'rates', coalesce(rates, '[]'),
    'older', coalesce(older, '[]'), 'erased', coalesce(erased, '[]'),
    'active', wanted);
exception when undefined_table or undefined_column or undefined_function then
  -- Not by a query, which in a stable function sees the catalogue as it was before.
  if to_regprocedure('mastery.ability_checksum(text, text, text, float8, float8, int, bigint, int, '
                     'float8, float8, float8, float8)') is null then
    raise exception 'the schema was taken back during this call: try again'
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  raise;
end $$;

create or replace function public.mastery_commit(jsonb) returns json
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
  load constant jsonb := request -> 'load';
  tenants constant text[] := (load ->> 'tenants')::text[];
  students constant text[] := (load ->> 'students')::text[];
  expected constant bigint[] := (request ->> 'expected')::bigint[];
  r_of constant int[] := (load ->> 'r_of')::int[];
  last constant int[] := (request ->> 'last_by')::int[];
  w_start constant text[] := (request ->> 'w_start')::text[];
  w_count constant text[] := (request ->> 'w_count')::text[];
  agreed boolean[] := array_fill(false, array[cardinality(tenants)]);
  parameters constant int := (request ->> 'parameters_version')::int;
  active int;
  conflicts int[];
  versions bigint[];
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
    agreed[n] := true;
  end loop;

  -- Under the locks, so that whoever sees the next version sees these learners as they are left.
  active := mastery.active_version();
  if parameters <> active then
    if not load ? 'active' then
      -- It would try again at once, for ever.
      raise exception 'parameters of version % are active, this worker knows those of version % '
        'alone: replace it by one of the version of this schema', active, parameters
        using errcode = 'object_not_in_prerequisite_state';
    end if;
    agreed := array_fill(false, array[cardinality(tenants)]);
    delete from mastery.learners l
     using unnest(tenants, students, expected) as t(tenant_id, student_id, version)
     where t.version = 0 and l.tenant_id = t.tenant_id and l.student_id = t.student_id
       and l.version = 0;
  end if;

  -- Under the locks, so that an erasure is either seen here or waits until this is stored.
  if load ? 'r_entered' and exists (select from mastery.erasures) then
    for n in
      select distinct r.learner
        from unnest(r_of, (load ->> 'r_entered')::bigint[]) as r(learner, entered_ms),
             lateral (select from mastery.erasures e
                       where e.digest
                             = mastery.learner_digest(tenants[r.learner], students[r.learner])
                         and (e.refuse or r.entered_ms <= e.until_ms)
                      offset 0) as e
    loop
      agreed[n] := false;
      delete from mastery.learners l
       where l.tenant_id = tenants[n] and l.student_id = students[n] and l.version = 0;
    end loop;
  end if;

  conflicts := array(
    select w.n from unnest(agreed) with ordinality as w(agreed, n) where not w.agreed order by w.n);

  versions := array(
    select nextval('mastery.learner_version') from generate_series(1, cardinality(r_of)));

  insert into public.student_responses (
    tenant_id, student_id, response_id, session_id, item_id, concept_ids, scale, score,
    answered_at, recorded_at, version, entry, outcome, checksum)
  select t.*, mastery.response_checksum(
           t.tenant_id, t.student_id, t.response_id, t.session_id, t.item_id, t.concept_ids,
           t.scale, t.score, t.answered_at, t.recorded_at, t.version, t.entry, t.outcome)
    from (select tenants[r.learner] as tenant_id, students[r.learner] as student_id,
                 r.id as response_id, r.session as session_id, r.item as item_id,
                 r.concepts::text[] as concept_ids, r.scale, r.score, r.at as answered_at,
                 now() as recorded_at, versions[r.n] as version, r.entry,
                 r.outcome::jsonb as outcome
            from unnest(r_of, (load ->> 'r_id')::uuid[], (load ->> 'r_at')::timestamptz[],
                        (request ->> 'r_session')::text[], (request ->> 'r_item')::text[],
                        (request ->> 'r_concepts')::text[], (request ->> 'r_scale')::text[],
                        (request ->> 'r_score')::float8[], (request ->> 'r_entry')::text[],
                        (request ->> 'r_outcome')::text[])
                 with ordinality
                 as r(learner, id, at, session, item, concepts, scale, score, entry, outcome, n)
           where agreed[r.learner]
          offset 0) as t;

  insert into mastery.learners as l (
    tenant_id, student_id, version, answered_at, response_id, parameters_version, responses,
    rate_windows, rate_counts)
  select w.tenant_id, w.student_id, versions[w.last_by], w.last_at, w.last_id,
         parameters, w.last_by - coalesce(last[w.n - 1], 0),
         w_start[w.n]::bigint[], w_count[w.n]::int[]
    from unnest(tenants, students, last,
                (request ->> 'last_at')::timestamptz[], (request ->> 'last_id')::uuid[])
         with ordinality as w(tenant_id, student_id, last_by, last_at, last_id, n)
   where agreed[w.n]
      on conflict (tenant_id, student_id) do update
     set version = excluded.version, answered_at = excluded.answered_at,
         response_id = excluded.response_id, parameters_version = excluded.parameters_version,
         responses = l.responses + excluded.responses,
         rate_windows = coalesce(excluded.rate_windows, l.rate_windows),
         rate_counts = coalesce(excluded.rate_counts, l.rate_counts),
         checksum = mastery.learner_checksum(
           l.tenant_id, l.student_id, excluded.version, excluded.answered_at,
           excluded.response_id, excluded.parameters_version, l.responses + excluded.responses,
           l.corrections, coalesce(excluded.rate_windows, l.rate_windows),
           coalesce(excluded.rate_counts, l.rate_counts));

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
                 c.mastery, c.attempts, c.mastered, c.at as answered_at, versions[c.by] as version,
                 parameters as parameters_version,
                 c.mantissa as odds_mantissa, c.exponent as odds_exponent, c.deviation,
                 c.deviation_variance, c.gradient::float8[] as gradient, c.recent, c.lasting,
                 c.low as mastery_low, c.high as mastery_high
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
           where agreed[c.learner]
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

  insert into public.student_ability as m (
    tenant_id, student_id, scale, theta, standard_error, responses, version, parameters_version,
    score, variance, surprise, surprise_variance, checksum)
  select t.*, mastery.ability_checksum(
           t.tenant_id, t.student_id, t.scale, t.theta, t.standard_error, t.responses, t.version,
           t.parameters_version, t.score, t.variance, t.surprise, t.surprise_variance)
    from (select tenants[a.learner] as tenant_id, students[a.learner] as student_id, a.scale,
                 a.theta, a.standard_error, a.responses, versions[a.by] as version,
                 parameters as parameters_version, a.score,
                 a.variance, a.surprise, a.surprise_variance
            from unnest((request ->> 'a_of')::int[], (request ->> 'a_scale')::text[],
                        (request ->> 'a_theta')::float8[],
                        (request ->> 'a_standard_error')::float8[],
                        (request ->> 'a_responses')::int[], (request ->> 'a_score')::float8[],
                        (request ->> 'a_by')::int[], (request ->> 'a_variance')::float8[],
                        (request ->> 'a_surprise')::float8[],
                        (request ->> 'a_surprise_variance')::float8[])
                 as a(learner, scale, theta, standard_error, responses, score, by, variance,
                      surprise, surprise_variance)
           where agreed[a.learner]
          offset 0) as t
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
                 s.responses, s.correct, s.started_at, s.ended_at, versions[s.by] as version
            from unnest((request ->> 's_of')::int[], (request ->> 's_session')::text[],
                        (request ->> 's_responses')::int[], (request ->> 's_correct')::int[],
                        (request ->> 's_started')::timestamptz[],
                        (request ->> 's_ended')::timestamptz[],
                        (request ->> 's_by')::int[])
                 as s(learner, session_id, responses, correct, started_at, ended_at, by)
           where agreed[s.learner]
          offset 0) as t
      on conflict (tenant_id, student_id, session_id) do update
     set responses = excluded.responses, correct = excluded.correct,
         started_at = excluded.started_at, ended_at = excluded.ended_at,
         version = excluded.version, checksum = excluded.checksum;

  -- What came out under new parameters as it was says so too.
  for n in select w.n from unnest((request ->> 'p_of')::int[]) as w(n) where agreed[w.n] loop
    update public.concept_mastery as m
       set parameters_version = parameters,
           checksum = mastery.concept_checksum(
             m.tenant_id, m.student_id, m.concept_id, m.mastery, m.attempts, m.mastered,
             m.answered_at, m.version, parameters, m.odds_mantissa,
             m.odds_exponent, m.deviation, m.deviation_variance, m.gradient, m.recent,
             m.lasting, m.mastery_low, m.mastery_high)
     where m.tenant_id = tenants[n] and m.student_id = students[n]
       and m.parameters_version <> parameters;
    update public.student_ability as m
       set parameters_version = parameters,
           checksum = mastery.ability_checksum(
             m.tenant_id, m.student_id, m.scale, m.theta, m.standard_error, m.responses,
             m.version, parameters, m.score, m.variance, m.surprise,
             m.surprise_variance)
     where m.tenant_id = tenants[n] and m.student_id = students[n]
       and m.parameters_version <> parameters;
  end loop;

  return json_build_object(
    'versions', (select coalesce(json_agg(case when agreed[r_of[v.n]] then v.version end order by v.n), '[]')
                   from unnest(versions) with ordinality as v(version, n)),
    'conflicts', to_json(conflicts),
    'current', case when cardinality(conflicts) > 0
      then public.mastery_load(load || jsonb_build_object('only', conflicts::text)) end);
exception when undefined_table or undefined_column or undefined_function then
  -- Not by a query, which in a stable function sees the catalogue as it was before.
  if to_regprocedure('mastery.ability_checksum(text, text, text, float8, float8, int, bigint, int, '
                     'float8, float8, float8, float8)') is null then
    raise exception 'the schema was taken back during this call: try again'
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  raise;
end $$;

-- Audit and repair ----------------------------------------------------------------------------
--
-- As before. In audit's answer the new columns stand before the checksums.

create or replace function public.mastery_audit(jsonb) returns json
language plpgsql stable security invoker
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
  learners json;
  responses json;
  corrections json;
  concepts json;
  abilities json;
  sessions json;
  rates json;
  windows json;
begin
  select json_agg(json_build_array(
           w.n, l.version, mastery.microseconds(l.answered_at), l.response_id,
           l.parameters_version, l.responses, l.corrections, l.checksum,
           mastery.learner_checksum(
             l.tenant_id, l.student_id, l.version, l.answered_at, l.response_id,
             l.parameters_version, l.responses, l.corrections, l.rate_windows, l.rate_counts))),
         json_agg(json_build_array(w.n, l.rate_windows, l.rate_counts))
           filter (where l.rate_windows is not null)
    into learners, rates
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from mastery.learners l
                   where l.tenant_id = w.tenant and l.student_id = w.student
                  offset 0) as l;

  select json_agg(json_build_array(
           w.n, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale, s.score,
           mastery.microseconds(s.answered_at), s.version, s.checksum, mastery.response_checksum(
             s.tenant_id, s.student_id, s.response_id, s.session_id, s.item_id, s.concept_ids,
             s.scale, s.score, s.answered_at, s.recorded_at, s.version, s.entry, s.outcome)))
    into responses
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from public.student_responses s
                   where s.tenant_id = w.tenant and s.student_id = w.student
                  offset 0) as s;

  select json_agg(json_build_array(o.n, o.starts, o.counted))
    into windows
    from (select w.n, s.starts, count(*) as counted
            from unnest(tenants, students) with ordinality as w(tenant, student, n),
                 lateral (select (r.outcome ->> 'window')::bigint as starts
                            from public.student_responses r
                           where r.tenant_id = w.tenant and r.student_id = w.student
                          offset 0) as s
           where s.starts is not null
           group by w.n, s.starts) as o;

  select json_agg(json_build_array(
           w.n, k.response_id, k.kind, k.score, k.reason, mastery.microseconds(k.corrected_at),
           k.version, k.checksum, mastery.correction_checksum(
             k.tenant_id, k.student_id, k.response_id, k.kind, k.score, k.reason, k.corrected_at,
             k.version)))
    into corrections
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from public.response_corrections k
                   where k.tenant_id = w.tenant and k.student_id = w.student
                  offset 0) as k;

  select json_agg(json_build_array(
           w.n, c.concept_id, c.mastery, c.attempts, c.mastered,
           mastery.microseconds(c.answered_at), c.version, c.parameters_version, c.odds_mantissa,
           c.odds_exponent, c.deviation, c.deviation_variance, c.gradient, c.recent, c.lasting,
           c.mastery_low, c.mastery_high, c.checksum, mastery.concept_checksum(
             c.tenant_id, c.student_id, c.concept_id, c.mastery, c.attempts, c.mastered,
             c.answered_at, c.version, c.parameters_version, c.odds_mantissa, c.odds_exponent,
             c.deviation, c.deviation_variance, c.gradient, c.recent, c.lasting, c.mastery_low,
             c.mastery_high)))
    into concepts
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from public.concept_mastery c
                   where c.tenant_id = w.tenant and c.student_id = w.student
                  offset 0) as c;

  select json_agg(json_build_array(
           w.n, a.scale, a.theta, a.standard_error, a.responses, a.version, a.parameters_version,
           a.score, a.variance, a.surprise, a.surprise_variance, a.checksum,
           mastery.ability_checksum(
             a.tenant_id, a.student_id, a.scale, a.theta, a.standard_error, a.responses,
             a.version, a.parameters_version, a.score, a.variance, a.surprise,
             a.surprise_variance)))
    into abilities
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from public.student_ability a
                   where a.tenant_id = w.tenant and a.student_id = w.student
                  offset 0) as a;

  select json_agg(json_build_array(
           w.n, p.session_id, p.responses, p.correct, mastery.microseconds(p.started_at),
           mastery.microseconds(p.ended_at), p.version, p.checksum, mastery.session_checksum(
             p.tenant_id, p.student_id, p.session_id, p.responses, p.correct, p.started_at,
             p.ended_at, p.version)))
    into sessions
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from public.practice_sessions p
                   where p.tenant_id = w.tenant and p.student_id = w.student
                  offset 0) as p;

  return json_build_object(
    'learners', coalesce(learners, '[]'), 'responses', coalesce(responses, '[]'),
    'corrections', coalesce(corrections, '[]'), 'concepts', coalesce(concepts, '[]'),
    'abilities', coalesce(abilities, '[]'), 'sessions', coalesce(sessions, '[]'),
    'rates', coalesce(rates, '[]'), 'windows', coalesce(windows, '[]'));
end $$;

create or replace function public.mastery_rewrite(jsonb) returns json
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

create or replace function public.mastery_seal(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  request alias for $1;
  accept constant boolean := coalesce((request ->> 'accept')::boolean, false);
  w record;
  counted int;
  found_rows int;
  total int;
  sealed int[] := '{}';
begin
  for w in
    select u.* from unnest((request ->> 'tenants')::text[], (request ->> 'students')::text[],
                           (request ->> 'expected')::bigint[])
                    with ordinality as u(tenant_id, student_id, version, n)
     order by u.tenant_id collate "C", u.student_id collate "C"
  loop
    perform from mastery.learners l
      where l.tenant_id = w.tenant_id and l.student_id = w.student_id and l.version = w.version
        for update;
    if not found then
      sealed[w.n] := null;
      continue;
    end if;
    total := 0;

    select count(*) into counted from public.student_responses s
     where s.tenant_id = w.tenant_id and s.student_id = w.student_id;
    update mastery.learners r set responses = g.responses, checksum = g.given
      from (select l.tenant_id, l.student_id, c.responses, mastery.learner_checksum(
                     l.tenant_id, l.student_id, l.version, l.answered_at, l.response_id,
                     l.parameters_version, c.responses, l.corrections, l.rate_windows,
                     l.rate_counts) as given
              from mastery.learners l,
                   lateral (select case when accept or l.responses is null then counted
                                        else l.responses end as responses offset 0) as c
             where l.tenant_id = w.tenant_id and l.student_id = w.student_id) as g
     where r.tenant_id = g.tenant_id and r.student_id = g.student_id
       and (r.checksum is null or r.responses is null or accept and r.checksum <> g.given);
    get diagnostics found_rows = row_count;
    total := total + found_rows;

    update public.student_responses r set checksum = g.given
      from (select s.tenant_id, s.student_id, s.response_id, mastery.response_checksum(
                     s.tenant_id, s.student_id, s.response_id, s.session_id, s.item_id,
                     s.concept_ids, s.scale, s.score, s.answered_at, s.recorded_at, s.version,
                     s.entry, s.outcome) as given
              from public.student_responses s
             where s.tenant_id = w.tenant_id and s.student_id = w.student_id) as g
     where r.tenant_id = g.tenant_id and r.student_id = g.student_id
       and r.response_id = g.response_id
       and (r.checksum is null or accept and r.checksum <> g.given);
    get diagnostics found_rows = row_count;
    total := total + found_rows;

    update public.response_corrections r set checksum = g.given
      from (select k.tenant_id, k.student_id, k.response_id, k.version, mastery.correction_checksum(
                     k.tenant_id, k.student_id, k.response_id, k.kind, k.score, k.reason,
                     k.corrected_at, k.version) as given
              from public.response_corrections k
             where k.tenant_id = w.tenant_id and k.student_id = w.student_id) as g
     where r.tenant_id = g.tenant_id and r.student_id = g.student_id
       and r.response_id = g.response_id and r.version = g.version
       and (r.checksum is null or accept and r.checksum <> g.given);
    get diagnostics found_rows = row_count;
    total := total + found_rows;

    update public.concept_mastery r set checksum = mastery.concept_checksum(
             r.tenant_id, r.student_id, r.concept_id, r.mastery, r.attempts, r.mastered,
             r.answered_at, r.version, r.parameters_version, r.odds_mantissa, r.odds_exponent,
             r.deviation, r.deviation_variance, r.gradient, r.recent, r.lasting, r.mastery_low,
             r.mastery_high)
     where r.tenant_id = w.tenant_id and r.student_id = w.student_id and r.checksum is null;
    get diagnostics found_rows = row_count;
    total := total + found_rows;

    update public.student_ability r set checksum = mastery.ability_checksum(
             r.tenant_id, r.student_id, r.scale, r.theta, r.standard_error, r.responses,
             r.version, r.parameters_version, r.score, r.variance, r.surprise, r.surprise_variance)
     where r.tenant_id = w.tenant_id and r.student_id = w.student_id and r.checksum is null;
    get diagnostics found_rows = row_count;
    total := total + found_rows;

    update public.practice_sessions r set checksum = mastery.session_checksum(
             r.tenant_id, r.student_id, r.session_id, r.responses, r.correct, r.started_at,
             r.ended_at, r.version)
     where r.tenant_id = w.tenant_id and r.student_id = w.student_id and r.checksum is null;
    get diagnostics found_rows = row_count;
    sealed[w.n] := total + found_rows;
  end loop;
  return to_json(sealed);
end $$;

-- Current values ------------------------------------------------------------------------------
--
-- As before, and besides:
--
-- Out: intervals  [[n, concept_id, mastery_low, mastery_high], ...] where they are known
--      surprises  [[n, scale, responses, surprise, surprise_variance], ...] of calibrated scales

create or replace function public.mastery_current(jsonb) returns json
language plpgsql stable security invoker
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
                   where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                  offset 0) as m;

  select json_agg(json_build_array(w.n, a.scale, a.theta, a.standard_error, a.version)),
         json_agg(json_build_array(w.n, a.scale, a.responses, a.surprise, a.surprise_variance))
           filter (where a.variance is not null)
    into abilities, surprises
    from unnest(active) as w(n),
         lateral (select * from public.student_ability a
                   where a.tenant_id = tenants[w.n] and a.student_id = students[w.n]
                  offset 0) as a;

  select json_agg(json_build_array(w.n, p.session_id, p.responses, p.correct, p.version))
    into sessions
    from unnest(active) as w(n),
         lateral (select * from public.practice_sessions p
                   where p.tenant_id = tenants[w.n] and p.student_id = students[w.n]
                  offset 0) as p;

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
              and o.version = any(rows.versions)) as versions
          offset 0) as owner,
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
              and m.version <> all(owner.versions)) as ids
          offset 0) as other,
         lateral (select * from public.student_responses s
                   where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
                     and s.response_id = any(owner.ids || other.ids)
                  offset 0) as s;

  return json_build_object(
    'now', mastery.microseconds(clock_timestamp()), 'active', to_json(active),
    'concepts', coalesce(concepts, '[]'), 'intervals', coalesce(intervals, '[]'),
    'surprises', coalesce(surprises, '[]'), 'abilities', coalesce(abilities, '[]'),
    'sessions', coalesce(sessions, '[]'), 'responses', coalesce(responses, '[]'));
end $$;

do $$
declare
  f text;
begin
  foreach f in array array[
    'mastery.concept_checksum(text, text, text, float8, int, boolean, timestamptz, bigint, int, float8, int, '
    'float8, float8, float8[], float8, float8, float8, float8)',
    'mastery.ability_checksum(text, text, text, float8, float8, int, bigint, int, float8, '
    'float8, float8, float8)'
  ] loop
    execute format('revoke execute on function %s from public, anon, authenticated', f);
    execute format('grant execute on function %s to service_role', f);
  end loop;
end $$;
notify pgrst, 'reload schema';
