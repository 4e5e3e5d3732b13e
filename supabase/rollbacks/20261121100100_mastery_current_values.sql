-- Takes back 20261121100100_mastery_current_values.sql: no data is touched.
drop function public.mastery_current(jsonb);
notify pgrst, 'reload schema';
