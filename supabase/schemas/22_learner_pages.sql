-- Pages of learners, for those who go through all of them.

-- Lists learners in the order of their keys.
--
-- In:  limit; after_tenant, after_student (the last of the page before); tenant, student: only these
-- Out: [[tenant, student], ...]
create function public.mastery_learners(jsonb) returns json
language sql stable security invoker set search_path = ''
as $$
  select coalesce(json_agg(json_build_array(l.tenant_id, l.student_id)), '[]')
    from (select l.tenant_id, l.student_id
            from mastery.learners l
           where (not $1 ? 'after_tenant'
                  or (l.tenant_id, l.student_id)
                     > ($1 ->> 'after_tenant', $1 ->> 'after_student'))
             and (not $1 ? 'tenant' or l.tenant_id = $1 ->> 'tenant')
             and (not $1 ? 'student' or l.student_id = $1 ->> 'student')
           order by l.tenant_id, l.student_id
           limit ($1 ->> 'limit')::int) as l
$$;

-- Lists everybody with a row in any table, so that rows without a learner are found too.
--
-- In:  limit, after_tenant, after_student: a page of all who have a row in any table, by their keys
--      or sample: number of learners, drawn at random from mastery.learners
--      or count: true
-- Out: [[tenant, student], ...], or [number of learners]
create function public.mastery_holders(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenant text := coalesce(request ->> 'after_tenant', '');
  student text := coalesce(request ->> 'after_student', '');
  page json[] := '{}';
begin
  if request ? 'count' then
    return (select json_build_array(count(*)) from mastery.learners);
  end if;
  if request ? 'sample' then
    return (select coalesce(json_agg(json_build_array(l.tenant_id, l.student_id)), '[]')
              from (select d.tenant_id, d.student_id from mastery.learners d
                     order by random() limit (request ->> 'sample')::int) as l);
  end if;
  for nth in 1..(request ->> 'limit')::int loop
    -- The next key of each table by one step in its index: none is read as a whole.
    select f.tenant_id, f.student_id into tenant, student
      from ((select l.tenant_id, l.student_id from mastery.learners l
              where (l.tenant_id, l.student_id) > (tenant, student)
              order by l.tenant_id, l.student_id limit 1)
            union all
            (select s.tenant_id, s.student_id from public.student_responses s
              where (s.tenant_id, s.student_id) > (tenant, student)
              order by s.tenant_id, s.student_id limit 1)
            union all
            (select k.tenant_id, k.student_id from public.response_corrections k
              where (k.tenant_id, k.student_id) > (tenant, student)
              order by k.tenant_id, k.student_id limit 1)
            union all
            (select c.tenant_id, c.student_id from public.concept_mastery c
              where (c.tenant_id, c.student_id) > (tenant, student)
              order by c.tenant_id, c.student_id limit 1)
            union all
            (select a.tenant_id, a.student_id from public.student_ability a
              where (a.tenant_id, a.student_id) > (tenant, student)
              order by a.tenant_id, a.student_id limit 1)
            union all
            (select p.tenant_id, p.student_id from public.practice_sessions p
              where (p.tenant_id, p.student_id) > (tenant, student)
              order by p.tenant_id, p.student_id limit 1)) as f
     order by f.tenant_id, f.student_id
     limit 1;
    exit when not found;
    page := page || json_build_array(tenant, student);
  end loop;
  return array_to_json(page);
end $$;

-- Finds the responses to an item, learner by learner: for an item with a wrong key.
--
-- In:  tenant, item; since, until (answered at or after, before; either may be missing);
--      limit (learners looked at), after_student (the last of the page before)
-- Out: last   the last student looked at, null: there are no more
--      found  [[student, response_id], ...]
create function public.mastery_answers(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  item constant text := request ->> 'item';
  since constant timestamptz := coalesce((request ->> 'since')::timestamptz, '-infinity');
  until constant timestamptz := coalesce((request ->> 'until')::timestamptz, 'infinity');
  students constant text[] := array(
    select l.student_id from mastery.learners l
     where l.tenant_id = tenant and l.student_id > coalesce(request ->> 'after_student', '')
     order by l.student_id
     limit (request ->> 'limit')::int);
begin
  return json_build_object(
    'last', students[cardinality(students)],
    'found', (select coalesce(json_agg(json_build_array(w.student, s.response_id)), '[]')
                from unnest(students) as w(student),
                     lateral (select s.response_id from public.student_responses s
                               where s.tenant_id = tenant and s.student_id = w.student
                                 and s.answered_at >= since and s.answered_at < until
                                 and s.item_id = item
                              offset 0) as s));
end $$;

revoke execute on function public.mastery_learners(jsonb), public.mastery_holders(jsonb),
  public.mastery_answers(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_learners(jsonb), public.mastery_holders(jsonb),
  public.mastery_answers(jsonb) to service_role;
