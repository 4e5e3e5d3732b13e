-- Takes back 20261126160000_mastery_calibration.sql: runs of calibration under way begin anew.
drop function public.mastery_logs(jsonb);
drop function public.mastery_stages(jsonb);
drop function public.mastery_keep_stage(jsonb);
drop function public.mastery_forget_stages(jsonb);
drop function mastery.stage_checksum(uuid, text, text, timestamptz);
drop table mastery.calibration_stages;
notify pgrst, 'reload schema';
