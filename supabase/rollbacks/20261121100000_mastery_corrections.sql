-- Takes back 20261121100000_mastery_corrections.sql: load and commit as they were, no checksums.
--
-- Refused while a correction exists: without it the estimates would silently become others.

lock table mastery.learners in access exclusive mode;

do $$
begin
  if exists (select from public.response_corrections) then
    raise exception 'response_corrections holds % corrections, without which the stored estimates '
      'are not what the log gives: export and delete them, and run `mastery rebuild`, before this '
      'migration can be taken back', (select count(*) from public.response_corrections);
  end if;
  if exists (select from mastery.untold) then
    raise exception 'mastery.untold holds % changes that subscribers have not been told: let a '
      'worker run until it is empty', (select count(*) from mastery.untold);
  end if;
end $$;

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
  logged int[];
  full_state boolean[] := array_fill(false, array[greatest(cardinality(tenants), 1)]);
  n int;
  learners json;
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
           w.n, l.version, mastery.microseconds(l.answered_at), l.response_id, l.parameters_version))
    into learners
    from unnest(asked) as w(n),
         lateral (select * from mastery.learners l
                   where l.tenant_id = tenants[w.n] and l.student_id = students[w.n]
                  offset 0) as l;

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
                         and (r.at, r.id) < (l.answered_at, l.response_id)
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
           w.n, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale, s.score,
           mastery.microseconds(s.answered_at)))
    into log
    from unnest(logged) as w(n),
         lateral (select * from public.student_responses s
                   where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
                  offset 0) as s;

  select json_agg(json_build_array(
           c.learner, c.concept_id, c.odds_mantissa, c.odds_exponent, c.attempts,
           mastery.microseconds(c.answered_at), c.mastery, c.mastered, c.version,
           c.parameters_version))
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
           a.parameters_version))
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
    'sessions', coalesce(sessions, '[]'));
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
  agreed boolean[] := array_fill(false, array[cardinality(tenants)]);
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
  conflicts := array(
    select w.n from unnest(agreed) with ordinality as w(agreed, n) where not w.agreed order by w.n);

  versions := array(
    select nextval('mastery.learner_version') from generate_series(1, cardinality(r_of)));

  insert into public.student_responses (
    tenant_id, student_id, response_id, session_id, item_id, concept_ids, scale, score,
    answered_at, version, entry, outcome)
  select tenants[r.learner], students[r.learner], r.id, r.session, r.item, r.concepts::text[],
         r.scale, r.score, r.at, versions[r.n], r.entry, r.outcome::jsonb
    from unnest(r_of, (load ->> 'r_id')::uuid[], (load ->> 'r_at')::timestamptz[],
                (request ->> 'r_session')::text[], (request ->> 'r_item')::text[],
                (request ->> 'r_concepts')::text[], (request ->> 'r_scale')::text[],
                (request ->> 'r_score')::float8[], (request ->> 'r_entry')::text[],
                (request ->> 'r_outcome')::text[])
         with ordinality
         as r(learner, id, at, session, item, concepts, scale, score, entry, outcome, n)
   where agreed[r.learner];

  insert into mastery.learners as l (
    tenant_id, student_id, version, answered_at, response_id, parameters_version)
  select w.tenant_id, w.student_id, versions[w.last_by], w.last_at, w.last_id,
         (request ->> 'parameters_version')::int
    from unnest(tenants, students, (request ->> 'last_by')::int[],
                (request ->> 'last_at')::timestamptz[], (request ->> 'last_id')::uuid[])
         with ordinality as w(tenant_id, student_id, last_by, last_at, last_id, n)
   where agreed[w.n]
      on conflict (tenant_id, student_id) do update
     set version = excluded.version, answered_at = excluded.answered_at,
         response_id = excluded.response_id, parameters_version = excluded.parameters_version;

  insert into public.concept_mastery as m (
    tenant_id, student_id, concept_id, mastery, attempts, mastered, answered_at, version,
    parameters_version, odds_mantissa, odds_exponent)
  select tenants[c.learner], students[c.learner], c.concept_id, c.mastery, c.attempts, c.mastered,
         c.at, versions[c.by], (request ->> 'parameters_version')::int, c.mantissa, c.exponent
    from unnest((request ->> 'c_of')::int[], (request ->> 'c_concept')::text[],
                (request ->> 'c_mastery')::float8[], (request ->> 'c_attempts')::int[],
                (request ->> 'c_mastered')::boolean[], (request ->> 'c_at')::timestamptz[],
                (request ->> 'c_by')::int[], (request ->> 'c_mantissa')::float8[],
                (request ->> 'c_exponent')::int[])
         as c(learner, concept_id, mastery, attempts, mastered, at, by, mantissa, exponent)
   where agreed[c.learner]
      on conflict (tenant_id, student_id, concept_id) do update
     set mastery = excluded.mastery, attempts = excluded.attempts, mastered = excluded.mastered,
         answered_at = excluded.answered_at, version = excluded.version,
         parameters_version = excluded.parameters_version,
         odds_mantissa = excluded.odds_mantissa, odds_exponent = excluded.odds_exponent;

  insert into public.student_ability as m (
    tenant_id, student_id, scale, theta, standard_error, responses, version, parameters_version,
    score)
  select tenants[a.learner], students[a.learner], a.scale, a.theta, a.standard_error, a.responses,
         versions[a.by], (request ->> 'parameters_version')::int, a.score
    from unnest((request ->> 'a_of')::int[], (request ->> 'a_scale')::text[],
                (request ->> 'a_theta')::float8[], (request ->> 'a_standard_error')::float8[],
                (request ->> 'a_responses')::int[], (request ->> 'a_score')::float8[],
                (request ->> 'a_by')::int[])
         as a(learner, scale, theta, standard_error, responses, score, by)
   where agreed[a.learner]
      on conflict (tenant_id, student_id, scale) do update
     set theta = excluded.theta, standard_error = excluded.standard_error,
         responses = excluded.responses, version = excluded.version,
         parameters_version = excluded.parameters_version, score = excluded.score;

  insert into public.practice_sessions as m (
    tenant_id, student_id, session_id, responses, correct, started_at, ended_at, version)
  select tenants[s.learner], students[s.learner], s.session_id, s.responses, s.correct,
         s.started_at, s.ended_at, versions[s.by]
    from unnest((request ->> 's_of')::int[], (request ->> 's_session')::text[],
                (request ->> 's_responses')::int[], (request ->> 's_correct')::int[],
                (request ->> 's_started')::timestamptz[], (request ->> 's_ended')::timestamptz[],
                (request ->> 's_by')::int[])
         as s(learner, session_id, responses, correct, started_at, ended_at, by)
   where agreed[s.learner]
      on conflict (tenant_id, student_id, session_id) do update
     set responses = excluded.responses, correct = excluded.correct,
         started_at = excluded.started_at, ended_at = excluded.ended_at,
         version = excluded.version;

  return json_build_object(
    'versions', (select coalesce(json_agg(case when agreed[r_of[v.n]] then v.version end order by v.n), '[]')
                   from unnest(versions) with ordinality as v(version, n)),
    'conflicts', to_json(conflicts),
    'current', case when cardinality(conflicts) > 0
      then public.mastery_load(load || jsonb_build_object('only', conflicts::text)) end);
end $$;

drop function public.mastery_audit(jsonb);
drop function public.mastery_rewrite(jsonb);
drop function public.mastery_seal(jsonb);
drop function public.mastery_holders(jsonb);
drop function public.mastery_answers(jsonb);
drop function public.mastery_untold(jsonb);
drop function public.mastery_told(jsonb);
drop function mastery.response_checksum;
drop function mastery.correction_checksum;
drop function mastery.learner_checksum;
drop function mastery.concept_checksum;
drop function mastery.ability_checksum;
drop function mastery.session_checksum;
drop table public.response_corrections;
drop table mastery.untold;
alter table mastery.learners
  drop column responses, drop column corrections, drop column checksum;
alter table public.student_responses drop column checksum;
alter table public.concept_mastery drop column checksum;
alter table public.student_ability drop column checksum;
alter table public.practice_sessions drop column checksum;
notify pgrst, 'reload schema';
