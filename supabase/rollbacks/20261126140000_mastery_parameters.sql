-- Takes back 20261126140000_mastery_parameters.sql. All versions of parameters are lost: export those
-- that are wanted (`mastery parameters export`) and activate version 1 first.
--
-- Learners keep the number that they are under; earlier workers replay them under the built-in one.
drop index mastery.learners_by_parameters;
drop function public.mastery_outdated(jsonb);
drop function public.mastery_activate_parameters(jsonb);
drop function public.mastery_store_parameters(jsonb);
drop function public.mastery_parameters(jsonb);
drop function mastery.active_version();
drop table mastery.active_parameters;
drop table mastery.parameters;
drop function mastery.parameters_checksum(int, text, jsonb, jsonb, text, timestamptz);
drop function mastery.refuse_change();
drop sequence mastery.parameters_version;
notify pgrst, 'reload schema';
