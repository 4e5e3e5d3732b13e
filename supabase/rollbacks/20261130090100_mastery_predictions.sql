-- Takes back 20261130090100_mastery_predictions.sql. No data is lost.

drop function public.mastery_predictions(jsonb);
notify pgrst, 'reload schema';
