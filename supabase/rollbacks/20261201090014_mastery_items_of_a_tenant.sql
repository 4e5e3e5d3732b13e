-- Takes back 20261201090014_mastery_items_of_a_tenant.sql.

drop function public.mastery_items(jsonb);

notify pgrst, 'reload schema';
