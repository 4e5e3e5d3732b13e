-- Changes function public.mastery_values(jsonb), grant function public.mastery_values(jsonb).

CREATE OR REPLACE FUNCTION public.mastery_values(jsonb)
 RETURNS json
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select json_build_object(
    'concepts', (
      select coalesce(json_agg(json_build_array(
               m.concept_id, m.mastery, m.attempts, m.mastered, mastery.microseconds(m.answered_at),
               m.version, m.parameters_version, m.mastery_low, m.mastery_high)), '[]')
        from (select * from public.concept_mastery c
               where c.tenant_id = $1 ->> 'tenant' and c.student_id = $1 ->> 'student'
                 and c.concept_id > coalesce($1 ->> 'concept', '')
               order by c.concept_id
               limit ($1 ->> 'limit')::int) as m),
    'abilities', (
      select coalesce(json_agg(json_build_array(
               a.scale, a.theta, a.standard_error, a.version, a.responses, a.variance, a.surprise,
               a.surprise_variance)), '[]')
        from (select * from public.student_ability s
               where s.tenant_id = $1 ->> 'tenant' and s.student_id = $1 ->> 'student'
                 and s.scale > coalesce($1 ->> 'scale', '')
               order by s.scale
               limit ($1 ->> 'limit')::int) as a))
$function$;

revoke all on function public.mastery_values(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.mastery_values(jsonb) to service_role;

notify pgrst, 'reload schema';
