-- Takes back 20261121090100_mastery_load_and_commit.sql: no data is touched.
drop function public.mastery_commit(jsonb);
drop function public.mastery_learners(jsonb);
drop function public.mastery_load(jsonb);
drop function mastery.microseconds(timestamptz);
notify pgrst, 'reload schema';
