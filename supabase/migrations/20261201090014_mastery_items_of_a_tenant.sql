-- Changes function public.mastery_items(jsonb), grant function public.mastery_items(jsonb).

CREATE OR REPLACE FUNCTION public.mastery_items(jsonb)
 RETURNS json
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select coalesce(json_agg(json_build_array(i.item_id, i.concept_ids, i.scale)
                           order by i.item_id), '[]')
    from (select n.item_id, n.concept_ids, n.scale from mastery.items n
           where n.tenant_id = $1 ->> 'tenant' and n.item_id > ($1 ->> 'after') collate "C"
           order by n.item_id limit ($1 ->> 'limit')::int) as i
$function$;

revoke all on function public.mastery_items(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.mastery_items(jsonb) to service_role;

notify pgrst, 'reload schema';
