-- Takes back 20261201090001_mastery_values.sql.

drop function public.mastery_values(jsonb);

notify pgrst, 'reload schema';
