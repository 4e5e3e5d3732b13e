-- Takes back 20261126180000_mastery_predictions.sql. No data is lost.

drop function public.mastery_predictions(jsonb);
notify pgrst, 'reload schema';
