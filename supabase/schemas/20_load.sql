-- Load: reads what a batch needs of its learners, in one snapshot (the function is stable).
--
-- `mastery_load` and `mastery_commit` take one JSON document and return one, the same over
-- PostgREST and over a direct connection. Columns travel inside the document as Postgres array
-- literals (unnest is twice as fast as json_to_recordset), and a function with one unnamed jsonb
-- parameter takes the body of a PostgREST call as it is. Learners are numbered from 1 by their place
-- in `tenants` and `students`; all other rows name their learner by that number.
--
-- Each lookup is a lateral subquery with `offset 0`, which the planner may not reorder: while its
-- statistics still call a table empty, it would read the whole table for each batch.

-- In:  tenants, students     the learners
--      r_of, r_id, r_at      responses about to be applied
--      r_window              window in which each response entered its stream, null: not counted
--      c_of, c_id; a_of, a_id; s_of, s_id   concepts, scales and sessions that they touch
--      only                  numbers of the learners to answer for; absent: all
--      whole                 true: everything of each learner, with its log
--      active                the caller can work under any active version of the parameters
--      parameters_version    version that a caller without `active` computes under
-- Out: learners   [[n, version, answered_at, response_id, parameters_version], ...]
--      known      responses that are in the log already, as they were published
--      logged     numbers of the learners whose log follows: one with a new response that is late,
--                 or whose state is under another version of the parameters than the active one
--                 (for a caller without `active`: than its own)
--      log        their effective logs: each response counts as its newest correction says
--      concepts, abilities, sessions   rows touched; all rows of a learner with a log
--      rates      [[n, windows, counts], ...] as they are kept
--      older      [[n, window, count], ...] of requested windows older than those that are kept
--      erased     [[n, until_ms, refuse], ...] of learners that were erased
--      active     the active version of the parameters
create function public.mastery_load(jsonb) returns json
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
                   where l.tenant_id = tenants[w.n] and l.student_id = students[w.n] offset 0) as l;
  wanted := mastery.active_version();
  -- A caller without `active` computes under its own version, and needs the log for that.
  asker := case when request ? 'active' then wanted else (request ->> 'parameters_version')::int end;

  if request ? 'r_window' then
    -- A batch that was pending for long asks for windows older than those that are kept.
    select json_agg(json_build_array(o.learner, o.starts, o.counted))
      into older
      from (select r.learner, r.starts,
                   (select count(*) from public.student_responses s
                     where s.tenant_id = tenants[r.learner] and s.student_id = students[r.learner]
                       and (s.outcome ->> 'window')::bigint = r.starts) as counted
              from (select distinct u.learner, u.starts
                      from unnest((request ->> 'r_of')::int[], (request ->> 'r_window')::bigint[])
                           as u(learner, starts)
                     where u.starts is not null and chosen[u.learner] offset 0) as r,
                   lateral (select from mastery.learners l
                             where l.tenant_id = tenants[r.learner]
                               and l.student_id = students[r.learner]
                               and r.starts < l.rate_windows[1] offset 0) as l) as o;
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
                       and s.response_id = r.id offset 0) as s
     where chosen[r.learner];

    logged := array(
      select distinct r.learner
        from unnest((request ->> 'r_of')::int[], (request ->> 'r_id')::uuid[],
                    (request ->> 'r_at')::timestamptz[]) as r(learner, id, at),
             lateral (select from mastery.learners l
                       where l.tenant_id = tenants[r.learner] and l.student_id = students[r.learner]
                         and l.answered_at is not null
                         and ((r.at, r.id) < (l.answered_at, l.response_id)
                              or l.parameters_version <> asker) offset 0) as late
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
            where s.tenant_id = tenants[w.n] and s.student_id = students[w.n] offset 0) as s
         left join lateral (
           select k.kind, k.score from public.response_corrections k
            where k.tenant_id = tenants[w.n] and k.student_id = students[w.n]
              and k.response_id = s.response_id
            order by k.version desc limit 1) as k on true
   where k.kind is distinct from 'void';

  select json_agg(m.state) into concepts
    from (select m.state
            from unnest((request ->> 'c_of')::int[], (request ->> 'c_id')::text[]) as t(learner, id),
                 lateral (select mastery.concept_state(t.learner, m) as state
                            from public.concept_mastery m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.concept_id = t.id
                          offset 0) as m
           where chosen[t.learner] and not full_state[t.learner]
          union all
          select m.state
            from unnest(logged) as w(n),
                 lateral (select mastery.concept_state(w.n, m) as state
                            from public.concept_mastery m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                          offset 0) as m) as m;

  select json_agg(m.state) into abilities
    from (select m.state
            from unnest((request ->> 'a_of')::int[], (request ->> 'a_id')::text[]) as t(learner, id),
                 lateral (select mastery.ability_state(t.learner, m) as state
                            from public.student_ability m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.scale = t.id
                          offset 0) as m
           where chosen[t.learner] and not full_state[t.learner]
          union all
          select m.state
            from unnest(logged) as w(n),
                 lateral (select mastery.ability_state(w.n, m) as state
                            from public.student_ability m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                          offset 0) as m) as m;

  select json_agg(m.state) into sessions
    from (select m.state
            from unnest((request ->> 's_of')::int[], (request ->> 's_id')::text[]) as t(learner, id),
                 lateral (select mastery.session_state(t.learner, m) as state
                            from public.practice_sessions m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.session_id = t.id
                          offset 0) as m
           where chosen[t.learner] and not full_state[t.learner]
          union all
          select m.state
            from unnest(logged) as w(n),
                 lateral (select mastery.session_state(w.n, m) as state
                            from public.practice_sessions m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                          offset 0) as m) as m;

  return json_build_object(
    'learners', coalesce(learners, '[]'), 'known', coalesce(known, '[]'),
    'logged', to_json(logged), 'log', coalesce(log, '[]'),
    'concepts', coalesce(concepts, '[]'), 'abilities', coalesce(abilities, '[]'),
    'sessions', coalesce(sessions, '[]'), 'rates', coalesce(rates, '[]'),
    'older', coalesce(older, '[]'), 'erased', coalesce(erased, '[]'),
    'active', wanted);
end $$;

revoke execute on function public.mastery_load(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_load(jsonb) to service_role;
