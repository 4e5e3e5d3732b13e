-- Takes back 20261126150000_mastery_concept_map.sql, with all maps: import them again afterwards. What the
-- graph has of them stays.
drop function public.mastery_concept_map(jsonb);
drop function public.mastery_import_concepts(jsonb);
drop function public.mastery_registered(jsonb);
drop function public.mastery_mapped_tenants(jsonb);
drop table mastery.items;
drop table mastery.prerequisites;
drop table mastery.concepts;
drop table mastery.concept_maps;
notify pgrst, 'reload schema';
