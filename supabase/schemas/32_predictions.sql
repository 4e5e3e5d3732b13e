-- Predictions: what was predicted of each response before it was seen, and what then happened.
--
-- In:  limit          responses looked at, including those that are left out
--      tenant         only its learners; absent: all
--      since          only what was recorded at or after it; absent: all
--      after_tenant, after_student, after_response: the last one looked at in the page before
-- Out: last           [tenant, student, response_id] of the last one looked at, null: no more
--      and, in the same order, one value per response in each of:
--      learners       [[tenant, student], ...]
--      concepts       [concept_ids, ...]
--      masteries      [[mastery of each concept after the response, ...], ...]
--      attempts       on the concept named first, including this one
--      scores         as they count now
--      probabilities  expected scores before the response, as they were stored
--      versions       of the learner: the order in which responses were recorded
--      parameters     version that they were predicted under
--      recorded       microseconds since 1970
-- A response that a correction voids is left out. Without a stored prediction of the response
-- itself, the mean of its concepts' predictions stands for it.
create function public.mastery_predictions(jsonb) returns json
language plpgsql stable security invoker
set search_path = ''
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off
-- One tenant and all tenants need different plans.
set plan_cache_mode = force_custom_plan
as $$
declare
  request alias for $1;
  tenant constant text := request ->> 'tenant';
  since constant timestamptz := coalesce((request ->> 'since')::timestamptz, '-infinity');
  size constant int := (request ->> 'limit')::int;
  after_tenant constant text := coalesce(request ->> 'after_tenant', tenant, '');
  after_student constant text := coalesce(request ->> 'after_student', '');
  after_response constant uuid := coalesce(
    (request ->> 'after_response')::uuid, '00000000-0000-0000-0000-000000000000');
begin
  return (
    with page as materialized (
      select s.*
        from public.student_responses s
       where (tenant is null or s.tenant_id = tenant)
         and (s.tenant_id, s.student_id, s.response_id)
             > (after_tenant, after_student, after_response)
       order by s.tenant_id, s.student_id, s.response_id
       limit size),
    told as (
      select json_build_array(p.tenant_id, p.student_id) as learner, p.concept_ids,
             (select json_agg((c.of ->> 'mastery')::float8 order by c.n)
                from jsonb_array_elements(p.outcome -> 'concepts') with ordinality as c(of, n)
               where c.n <= cardinality(p.concept_ids)) as masteries,
             (p.outcome #>> '{concepts,0,attempts}')::int as attempts,
             coalesce(k.score, p.score) as score,
             coalesce(
               (p.outcome ->> 'probability_correct')::float8,
               (select avg((c.of ->> 'probability_correct')::float8)
                  from jsonb_array_elements(p.outcome -> 'concepts') with ordinality as c(of, n)
                 where c.n <= cardinality(p.concept_ids))) as probability,
             p.version, (p.outcome ->> 'parameters_version')::int as parameters,
             mastery.microseconds(p.recorded_at) as recorded
        from page as p
             left join lateral (
               select k.kind, k.score from public.response_corrections k
                where k.tenant_id = p.tenant_id and k.student_id = p.student_id
                  and k.response_id = p.response_id
                order by k.version desc limit 1) as k on true
       where k.kind is distinct from 'void' and p.recorded_at >= since)
    select json_build_object(
      'last', (select json_build_array(p.tenant_id, p.student_id, p.response_id)
                 from page as p
                where (select count(*) from page) = size
                order by p.tenant_id desc, p.student_id desc, p.response_id desc limit 1),
      'learners', coalesce(json_agg(t.learner), '[]'),
      'concepts', coalesce(json_agg(t.concept_ids), '[]'),
      'masteries', coalesce(json_agg(t.masteries), '[]'),
      'attempts', coalesce(json_agg(t.attempts), '[]'),
      'scores', coalesce(json_agg(t.score), '[]'),
      'probabilities', coalesce(json_agg(t.probability), '[]'),
      'versions', coalesce(json_agg(t.version), '[]'),
      'parameters', coalesce(json_agg(t.parameters), '[]'),
      'recorded', coalesce(json_agg(t.recorded), '[]'))
      from told as t);
end $$;

revoke execute on function public.mastery_predictions(jsonb) from public, anon, authenticated;
grant execute on function public.mastery_predictions(jsonb) to service_role;
