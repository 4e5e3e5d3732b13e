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
--      most_answers          the most answers to return in `log`
--      most_replayed         the most of these of learners with no late response; absent: as many
--      active                the caller can work under any active version of the parameters
--      parameters_version    version that a caller without `active` computes under
--      few                   see `whole`; absent: nobody is
-- Out: learners   [[n, version, answered_at, response_id, parameters_version, responses], ...]
--      known      responses that are in the log already, as they were published
--      late       numbers of the learners with a new response that is late, or whose state is under
--                 another version of the parameters than the active one (for a caller without
--                 `active`: than its own)
--      bases      of late learners, the nearest snapshot before the first new response:
--                 [[n, answered_at, response_id, responses, state], ...]
--      logged     numbers of the late learners whose answers after that snapshot are in `log`
--      log        effective logs: each response counts as its newest correction says
--      concepts, abilities   rows touched; all rows of a learner who is logged, the only late one or
--                 whole
--      whole      numbers of the learners with at most `few` rows of each, all of which are returned
--      sessions   rows touched
--      rates      [[n, windows, counts], ...] as they are kept
--      older      [[n, window, count], ...] of requested windows older than those that are kept
--      erased     [[n, until_ms, refuse], ...] of learners that were erased
--      erasing    numbers of the learners whose erasure is not finished
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
  nil_id constant uuid := '00000000-0000-0000-0000-000000000000';
  wanted int;
  asker int;
  late int[];
  first_at timestamptz[];
  first_id uuid[];
  in_order boolean[];
  room int := coalesce((request ->> 'most_answers')::int, 2147483647);
  room_in_order int := coalesce((request ->> 'most_replayed')::int, 2147483647);
  answers int;
  at timestamptz;
  id uuid;
  base_at timestamptz[];
  base_id uuid[];
  logged int[] := '{}';
  full_state boolean[] := array_fill(false, array[greatest(cardinality(tenants), 1)]);
  few constant int := (request ->> 'few')::int;
  whole int[] := '{}';
  n int;
  learners json;
  rates json;
  older json;
  erased json;
  erasing json;
  known json;
  log json;
  bases json;
  concepts json;
  abilities json;
  sessions json;
begin
  select json_agg(json_build_array(
           w.n, l.version, mastery.microseconds(l.answered_at), l.response_id, l.parameters_version,
           l.responses)),
         json_agg(json_build_array(w.n, l.rate_windows, l.rate_counts))
           filter (where l.rate_windows is not null)
    into learners, rates
    from generate_subscripts(tenants, 1) as w(n),
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
                     where u.starts is not null offset 0) as r,
                   lateral (select from mastery.learners l
                             where l.tenant_id = tenants[r.learner]
                               and l.student_id = students[r.learner]
                               and r.starts < l.rate_windows[1] offset 0) as l) as o;
  end if;

  if exists (select from mastery.erasures) then
    select json_agg(json_build_array(w.n, e.until_ms, e.refuse)),
           json_agg(w.n) filter (where e.unfinished)
      into erased, erasing
      from generate_subscripts(tenants, 1) as w(n),
           lateral (select * from mastery.erasures e
                     where e.digest = mastery.learner_digest(tenants[w.n], students[w.n])
                    offset 0) as e;
  end if;

  select json_agg(json_build_array(
           r.learner, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale, s.score,
           mastery.microseconds(s.answered_at), s.version, s.entry, s.outcome))
    into known
    from unnest((request ->> 'r_of')::int[], (request ->> 'r_id')::uuid[]) as r(learner, id),
         lateral (select * from public.student_responses s
                   where s.tenant_id = tenants[r.learner] and s.student_id = students[r.learner]
                     and s.response_id = r.id offset 0) as s;

  select array_agg(f.learner), array_agg(f.at), array_agg(f.id), array_agg(f.in_order)
    into late, first_at, first_id, in_order
    from (select distinct on (r.learner) r.learner, r.at, r.id, l.in_order
            from unnest((request ->> 'r_of')::int[], (request ->> 'r_id')::uuid[],
                        (request ->> 'r_at')::timestamptz[]) as r(learner, id, at),
                 lateral (select (r.at, r.id) > (l.answered_at, l.response_id) as in_order
                            from mastery.learners l
                           where l.tenant_id = tenants[r.learner]
                             and l.student_id = students[r.learner]
                             and l.answered_at is not null
                             and ((r.at, r.id) < (l.answered_at, l.response_id)
                                  or l.parameters_version <> asker) offset 0) as l
           where not exists (
             select from public.student_responses s
              where s.tenant_id = tenants[r.learner] and s.student_id = students[r.learner]
                and s.response_id = r.id offset 0)
           order by r.learner, r.at, r.id) as f;

  for i in 1..coalesce(cardinality(late), 0) loop
    n := late[i];
    select s.answered_at, s.response_id, l.responses - coalesce(s.responses, 0)
      into at, id, answers
      from mastery.learners l
           left join lateral (
             select s.* from mastery.snapshots s
              where s.tenant_id = tenants[n] and s.student_id = students[n]
                and s.parameters_version = asker
                and (s.answered_at, s.response_id) < (first_at[i], first_id[i])
              order by s.answered_at desc, s.response_id desc limit 1) as s on true
     where l.tenant_id = tenants[n] and l.student_id = students[n];
    base_at[i] := at;
    base_id[i] := id;
    if answers is null then -- never counted
      answers := (select count(*)
                    from (select from public.student_responses s
                           where s.tenant_id = tenants[n] and s.student_id = students[n]
                             and (s.answered_at, s.response_id)
                                 > (coalesce(at, '-infinity'), coalesce(id, nil_id))
                           limit room + 1) as s);
    end if;
    if answers <= least(room, case when in_order[i] then room_in_order end) then
      room := room - answers;
      if in_order[i] then
        room_in_order := room_in_order - answers;
      end if;
      logged := logged || n;
    end if;
    full_state[n] := n = any (logged) or cardinality(tenants) = 1;
  end loop;

  select json_agg(json_build_array(
           w.n, mastery.microseconds(s.answered_at), s.response_id, s.responses, s.state::json))
    into bases
    from unnest(late, base_at, base_id) as w(n, at, id),
         lateral (select * from mastery.snapshots s
                   where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
                     and s.parameters_version = asker and s.answered_at = w.at
                     and s.response_id = w.id offset 0) as s
   where full_state[w.n];

  select json_agg(json_build_array(
           w.n, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale,
           coalesce(k.score, s.score), mastery.microseconds(s.answered_at)))
    into log
    from unnest(late, base_at, base_id) as w(n, at, id)
         cross join lateral (
           select * from public.student_responses s
            where s.tenant_id = tenants[w.n] and s.student_id = students[w.n]
              and (s.answered_at, s.response_id)
                  > (coalesce(w.at, '-infinity'), coalesce(w.id, nil_id)) offset 0) as s
         left join lateral (
           select k.kind, k.score from public.response_corrections k
            where k.tenant_id = tenants[w.n] and k.student_id = students[w.n]
              and k.response_id = s.response_id
            order by k.version desc limit 1) as k on true
   where w.n = any (logged) and k.kind is distinct from 'void';

  if few is not null then
    whole := array(
      select w.n
        from generate_subscripts(tenants, 1) as w(n)
       where few >= (select count(*) from (select from public.concept_mastery m
                      where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                      limit few + 1) as rows_of_it)
         and few >= (select count(*) from (select from public.student_ability m
                      where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                      limit few + 1) as rows_of_it));
    foreach n in array whole loop
      full_state[n] := true;
    end loop;
  end if;

  select json_agg(m.state) into concepts
    from (select m.state
            from unnest((request ->> 'c_of')::int[], (request ->> 'c_id')::text[]) as t(learner, id),
                 lateral (select mastery.concept_state(t.learner, m) as state
                            from public.concept_mastery m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.concept_id = t.id
                          offset 0) as m
           where not full_state[t.learner]
          union all
          select m.state
            from generate_subscripts(tenants, 1) as w(n),
                 lateral (select mastery.concept_state(w.n, m) as state
                            from public.concept_mastery m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                          offset 0) as m
           where full_state[w.n]) as m;

  select json_agg(m.state) into abilities
    from (select m.state
            from unnest((request ->> 'a_of')::int[], (request ->> 'a_id')::text[]) as t(learner, id),
                 lateral (select mastery.ability_state(t.learner, m) as state
                            from public.student_ability m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.scale = t.id
                          offset 0) as m
           where not full_state[t.learner]
          union all
          select m.state
            from generate_subscripts(tenants, 1) as w(n),
                 lateral (select mastery.ability_state(w.n, m) as state
                            from public.student_ability m
                           where m.tenant_id = tenants[w.n] and m.student_id = students[w.n]
                          offset 0) as m
           where full_state[w.n]) as m;

  select json_agg(m.state) into sessions
    from (select m.state
            from unnest((request ->> 's_of')::int[], (request ->> 's_id')::text[]) as t(learner, id),
                 lateral (select mastery.session_state(t.learner, m) as state
                            from public.practice_sessions m
                           where m.tenant_id = tenants[t.learner]
                             and m.student_id = students[t.learner] and m.session_id = t.id
                          offset 0) as m) as m;

  return json_build_object(
    'learners', coalesce(learners, '[]'), 'known', coalesce(known, '[]'),
    'late', coalesce(to_json(late), '[]'), 'bases', coalesce(bases, '[]'),
    'whole', to_json(whole), 'logged', to_json(logged), 'log', coalesce(log, '[]'),
    'concepts', coalesce(concepts, '[]'), 'abilities', coalesce(abilities, '[]'),
    'sessions', coalesce(sessions, '[]'), 'rates', coalesce(rates, '[]'),
    'older', coalesce(older, '[]'), 'erased', coalesce(erased, '[]'),
    'erasing', coalesce(erasing, '[]'),
    'active', wanted);
end $$;

-- Reads a page of a learner's log, as it counts.
--
-- In:  tenant, student; limit; after_at, after_id: the last of the page before
-- Out: version   of the learner, 0: there is no row of it
--      last      [answered_at, response_id] of the last response read; null: the log ends before
--                the limit
--      log       [[response, session, item, concepts, scale, score, answered_at], ...]
create function public.mastery_log_page(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  student constant text := request ->> 'student';
  most constant int := (request ->> 'limit')::int;
  after_at constant timestamptz := coalesce((request ->> 'after_at')::timestamptz, '-infinity');
  after_id constant uuid := coalesce(
    (request ->> 'after_id')::uuid, '00000000-0000-0000-0000-000000000000');
  log json;
  last json;
begin
  with page as (
    select s.*
      from public.student_responses s
     where s.tenant_id = tenant and s.student_id = student
       and (s.answered_at, s.response_id) > (after_at, after_id)
     order by s.answered_at, s.response_id
     limit most)
  select json_agg(json_build_array(
           p.response_id, p.session_id, p.item_id, p.concept_ids, p.scale,
           coalesce(k.score, p.score), mastery.microseconds(p.answered_at))
           order by p.answered_at, p.response_id)
           filter (where k.kind is distinct from 'void'),
         case when count(*) = most then (
           array_agg(json_build_array(mastery.microseconds(p.answered_at), p.response_id)
                     order by p.answered_at desc, p.response_id desc))[1] end
    into log, last
    from page p
         left join lateral (
           select k.kind, k.score from public.response_corrections k
            where k.tenant_id = tenant and k.student_id = student
              and k.response_id = p.response_id
            order by k.version desc limit 1) as k on true;
  return json_build_object(
    'version', coalesce((select l.version from mastery.learners l
                          where l.tenant_id = tenant and l.student_id = student), 0),
    'last', last, 'log', coalesce(log, '[]'));
end $$;

revoke execute on function public.mastery_load(jsonb), public.mastery_log_page(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_load(jsonb), public.mastery_log_page(jsonb) to service_role;
