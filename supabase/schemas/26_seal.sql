-- Seal: gives checksums to rows of some learners that have none, under the learners' locks.
--
-- In:  tenants, students, expected (a learner of another version is left alone)
--      log: false leaves out the responses, for `mastery_seal_page`
--      accept: true also gives one to rows whose columns were altered, which declares them right
-- Out: [number of rows of each learner with a new checksum, null for one that was left alone]
create function public.mastery_seal(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
as $$
declare
  request alias for $1;
  accept constant boolean := coalesce((request ->> 'accept')::boolean, false);
  log constant boolean := coalesce((request ->> 'log')::boolean, true);
  w record;
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

    with learner as (
      update mastery.learners r set responses = g.responses, checksum = g.given
        from (select l.tenant_id, l.student_id, c.responses, mastery.learner_checksum(
                       l.tenant_id, l.student_id, l.version, l.answered_at, l.response_id,
                       l.parameters_version, c.responses, l.corrections, l.rate_windows,
                       l.rate_counts) as given
                from mastery.learners l,
                     lateral (select case when accept or l.responses is null then (
                                       select count(*) from public.student_responses s
                                        where s.tenant_id = l.tenant_id
                                          and s.student_id = l.student_id)::int
                                     else l.responses end as responses offset 0) as c
               where l.tenant_id = w.tenant_id and l.student_id = w.student_id) as g
       where r.tenant_id = g.tenant_id and r.student_id = g.student_id
         and (r.checksum is null or r.responses is null or accept and r.checksum <> g.given)
      returning 1),
    responses as (
      update public.student_responses r set checksum = g.given
        from (select s.tenant_id, s.student_id, s.response_id, mastery.response_checksum(
                       s.tenant_id, s.student_id, s.response_id, s.session_id, s.item_id,
                       s.concept_ids, s.scale, s.score, s.answered_at, s.recorded_at, s.version,
                       s.entry, s.outcome) as given
                from public.student_responses s
               where log and s.tenant_id = w.tenant_id and s.student_id = w.student_id) as g
       where r.tenant_id = g.tenant_id and r.student_id = g.student_id
         and r.response_id = g.response_id
         and (r.checksum is null or accept and r.checksum <> g.given)
      returning 1),
    corrections as (
      update public.response_corrections r set checksum = g.given
        from (select k.tenant_id, k.student_id, k.response_id, k.version,
                     mastery.correction_checksum(
                       k.tenant_id, k.student_id, k.response_id, k.kind, k.score, k.reason,
                       k.corrected_at, k.version) as given
                from public.response_corrections k
               where k.tenant_id = w.tenant_id and k.student_id = w.student_id) as g
       where r.tenant_id = g.tenant_id and r.student_id = g.student_id
         and r.response_id = g.response_id and r.version = g.version
         and (r.checksum is null or accept and r.checksum <> g.given)
      returning 1),
    concepts as (
      update public.concept_mastery r set checksum = mastery.row_checksum(r)
       where r.tenant_id = w.tenant_id and r.student_id = w.student_id and r.checksum is null
      returning 1),
    abilities as (
      update public.student_ability r set checksum = mastery.row_checksum(r)
       where r.tenant_id = w.tenant_id and r.student_id = w.student_id and r.checksum is null
      returning 1),
    sessions as (
      update public.practice_sessions r set checksum = mastery.row_checksum(r)
       where r.tenant_id = w.tenant_id and r.student_id = w.student_id and r.checksum is null
      returning 1)
    select (select count(*) from learner) + (select count(*) from responses)
           + (select count(*) from corrections) + (select count(*) from concepts)
           + (select count(*) from abilities) + (select count(*) from sessions)
      into total;
    sealed[w.n] := total;
  end loop;
  return to_json(sealed);
end $$;

-- Gives checksums to some responses of a learner.
--
-- In:  tenant, student, expected, accept: see mastery_seal
--      limit; after_at, after_id: the last response of the page before
-- Out: [number of rows with a new checksum, null if the learner was left alone;
--       [answered_at, response_id] of the last response of the page, null: it was the last page]
create function public.mastery_seal_page(jsonb) returns json
language plpgsql volatile security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  student constant text := request ->> 'student';
  accept constant boolean := (request ->> 'accept')::boolean;
  most constant int := (request ->> 'limit')::int;
  after_at constant timestamptz := coalesce((request ->> 'after_at')::timestamptz, '-infinity');
  after_id constant uuid := coalesce(
    (request ->> 'after_id')::uuid, '00000000-0000-0000-0000-000000000000');
  last_at timestamptz;
  last_id uuid;
  read int;
  sealed int;
begin
  perform from mastery.learners l
    where l.tenant_id = tenant and l.student_id = student
      and l.version = (request ->> 'expected')::bigint for update;
  if not found then
    return json_build_array(null, null);
  end if;
  select count(*), (array_agg(p.answered_at order by p.n desc))[1],
         (array_agg(p.response_id order by p.n desc))[1]
    into read, last_at, last_id
    from (select s.answered_at, s.response_id,
                 row_number() over (order by s.answered_at, s.response_id) as n
            from public.student_responses s
           where s.tenant_id = tenant and s.student_id = student
             and (s.answered_at, s.response_id) > (after_at, after_id)
           order by s.answered_at, s.response_id limit most) as p;
  -- A range of the index in the learner's order: no join, whose plan would depend on statistics.
  update public.student_responses r
     set checksum = mastery.response_checksum(
           r.tenant_id, r.student_id, r.response_id, r.session_id, r.item_id, r.concept_ids, r.scale,
           r.score, r.answered_at, r.recorded_at, r.version, r.entry, r.outcome)
   where r.tenant_id = tenant and r.student_id = student
     and (r.answered_at, r.response_id) > (after_at, after_id)
     and (r.answered_at, r.response_id) <= (last_at, last_id)
     and (r.checksum is null or accept and r.checksum <> mastery.response_checksum(
            r.tenant_id, r.student_id, r.response_id, r.session_id, r.item_id, r.concept_ids,
            r.scale, r.score, r.answered_at, r.recorded_at, r.version, r.entry, r.outcome));
  get diagnostics sealed = row_count;
  return json_build_array(sealed, case when read = most then json_build_array(
    mastery.microseconds(last_at), last_id) end);
end $$;

revoke execute on function public.mastery_seal(jsonb), public.mastery_seal_page(jsonb)
  from public, anon, authenticated;
grant execute on function public.mastery_seal(jsonb), public.mastery_seal_page(jsonb)
  to service_role;
