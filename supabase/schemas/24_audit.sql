-- Audit: reads everything stored of some learners, in one snapshot, each row with its checksum and
-- the checksum that its columns give.
--
-- In:  tenants, students
--      most_answers  the most responses to return; null: all. A learner whose log does not fit comes
--                    without responses and windows.
-- Out: left_out     numbers of the learners whose log did not fit
--      learners     [[n, version, answered_at, response_id, parameters_version, responses,
--                     corrections, checksum, given], ...]
--      responses, corrections   alike, each as it is stored
--      concepts     [[n, row as in mastery_load, mastery_low, mastery_high, checksum, given], ...]
--      abilities, sessions      [[n, row as in mastery_load, checksum, given], ...]
--      rates        [[n, windows, counts], ...] as they are kept
--      windows      [[n, window, count], ...] counted from the log
create function public.mastery_audit(jsonb) returns json
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
  learners json;
  responses json;
  corrections json;
  concepts json;
  abilities json;
  sessions json;
  rates json;
  windows json;
  snapshots json;
  room int := (request ->> 'most_answers')::int;
  answers int;
  logged boolean[] := array_fill(true, array[cardinality(tenants)]);
begin
  for n in 1..case when room is null then 0 else cardinality(tenants) end loop
    answers := (select l.responses from mastery.learners l
                 where l.tenant_id = tenants[n] and l.student_id = students[n]);
    if answers is null then -- never counted, or without a row
      answers := (select count(*)
                    from (select from public.student_responses s
                           where s.tenant_id = tenants[n] and s.student_id = students[n]
                           limit room + 1) as s);
    end if;
    logged[n] := answers <= room;
    room := case when logged[n] then room - answers else room end;
  end loop;

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
                   where l.tenant_id = w.tenant and l.student_id = w.student offset 0) as l;

  select json_agg(json_build_array(
           w.n, s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale, s.score,
           mastery.microseconds(s.answered_at), s.version, s.checksum, mastery.response_checksum(
             s.tenant_id, s.student_id, s.response_id, s.session_id, s.item_id, s.concept_ids,
             s.scale, s.score, s.answered_at, s.recorded_at, s.version, s.entry, s.outcome)))
    into responses
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from public.student_responses s
                   where s.tenant_id = w.tenant and s.student_id = w.student offset 0) as s
   where logged[w.n];

  select json_agg(json_build_array(o.n, o.starts, o.counted))
    into windows
    from (select w.n, s.starts, count(*) as counted
            from unnest(tenants, students) with ordinality as w(tenant, student, n),
                 lateral (select (r.outcome ->> 'window')::bigint as starts
                            from public.student_responses r
                           where r.tenant_id = w.tenant and r.student_id = w.student offset 0) as s
           where logged[w.n] and s.starts is not null
           group by w.n, s.starts) as o;

  select json_agg(json_build_array(
           w.n, k.response_id, k.kind, k.score, k.reason, mastery.microseconds(k.corrected_at),
           k.version, k.checksum, mastery.correction_checksum(
             k.tenant_id, k.student_id, k.response_id, k.kind, k.score, k.reason, k.corrected_at,
             k.version)))
    into corrections
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from public.response_corrections k
                   where k.tenant_id = w.tenant and k.student_id = w.student offset 0) as k;

  select json_agg(m.audited) into concepts
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select json_build_array(w.n, mastery.concept_state(w.n::int, c),
                                          c.mastery_low, c.mastery_high, c.checksum,
                                          mastery.row_checksum(c)) as audited
                    from public.concept_mastery c
                   where c.tenant_id = w.tenant and c.student_id = w.student offset 0) as m;

  select json_agg(m.audited) into abilities
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select json_build_array(w.n, mastery.ability_state(w.n::int, a), a.checksum,
                                          mastery.row_checksum(a)) as audited
                    from public.student_ability a
                   where a.tenant_id = w.tenant and a.student_id = w.student offset 0) as m;

  select json_agg(m.audited) into sessions
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select json_build_array(w.n, mastery.session_state(w.n::int, p), p.checksum,
                                          mastery.row_checksum(p)) as audited
                    from public.practice_sessions p
                   where p.tenant_id = w.tenant and p.student_id = w.student offset 0) as m;

  select json_agg(json_build_array(
           w.n, s.parameters_version, mastery.microseconds(s.answered_at), s.response_id,
           s.responses, s.state::json, s.checksum, mastery.snapshot_checksum(
             s.tenant_id, s.student_id, s.parameters_version, s.answered_at, s.response_id,
             s.responses, s.state)))
    into snapshots
    from unnest(tenants, students) with ordinality as w(tenant, student, n),
         lateral (select * from mastery.snapshots s
                   where s.tenant_id = w.tenant and s.student_id = w.student offset 0) as s;

  return json_build_object(
    'learners', coalesce(learners, '[]'), 'responses', coalesce(responses, '[]'),
    'corrections', coalesce(corrections, '[]'), 'concepts', coalesce(concepts, '[]'),
    'abilities', coalesce(abilities, '[]'), 'sessions', coalesce(sessions, '[]'),
    'rates', coalesce(rates, '[]'), 'windows', coalesce(windows, '[]'),
    'snapshots', coalesce(snapshots, '[]'),
    'left_out', (select coalesce(json_agg(w.n), '[]') from generate_subscripts(logged, 1) as w(n)
                  where not logged[w.n]));
end $$;

-- Reads some responses of a learner as they are stored, with their checksums: those that are named,
-- or a page.
--
-- In:  tenant, student; ids, or limit with after_at, after_id: the last of the page before
-- Out: responses   [[response, session, item, concepts, scale, score, answered_at, version, checksum,
--                    given, window], ...]
--      last        [answered_at, response_id] of the last response read; null: the log ends before
--                  the limit
create function public.mastery_audit_page(jsonb) returns json
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
  rows public.student_responses[];
  responses json;
begin
  if request ? 'ids' then
    rows := array(
      select s.named from unnest((request ->> 'ids')::uuid[]) as w(id),
             lateral (select r as named from public.student_responses r
                       where r.tenant_id = tenant and r.student_id = student
                         and r.response_id = w.id offset 0) as s);
  else
    rows := array(
      select s from public.student_responses s
       where s.tenant_id = tenant and s.student_id = student
         and (s.answered_at, s.response_id) > (after_at, after_id)
       order by s.answered_at, s.response_id limit most);
  end if;
  select json_agg(json_build_array(
           s.response_id, s.session_id, s.item_id, s.concept_ids, s.scale, s.score,
           mastery.microseconds(s.answered_at), s.version, s.checksum, mastery.response_checksum(
             s.tenant_id, s.student_id, s.response_id, s.session_id, s.item_id, s.concept_ids,
             s.scale, s.score, s.answered_at, s.recorded_at, s.version, s.entry, s.outcome),
           (s.outcome ->> 'window')::bigint))
    into responses
    from unnest(rows) as s;
  return json_build_object(
    'responses', coalesce(responses, '[]'),
    'last', case when cardinality(rows) = most then json_build_array(
      mastery.microseconds(rows[most].answered_at), rows[most].response_id) end);
end $$;

revoke execute on function public.mastery_audit(jsonb), public.mastery_audit_page(jsonb)
  from public, anon, authenticated;
grant execute on function public.mastery_audit(jsonb), public.mastery_audit_page(jsonb)
  to service_role;
