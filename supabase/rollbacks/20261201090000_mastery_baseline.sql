-- Takes back 20261201090000_mastery_baseline.sql, with all that was recorded. The roles stay: other
-- databases of the server may use them.
drop function
  mastery.concept_state, mastery.ability_state, mastery.session_state,
  mastery.row_checksum(public.concept_mastery), mastery.row_checksum(public.student_ability),
  mastery.row_checksum(public.practice_sessions);
drop table public.practice_sessions, public.student_ability, public.concept_mastery,
  public.response_corrections, public.student_responses;
drop function
  public.mastery_activate_parameters, public.mastery_answers, public.mastery_audit,
  public.mastery_audit_page,
  public.mastery_commit, public.mastery_concept_map, public.mastery_current, public.mastery_erase,
  public.mastery_forget_erasures, public.mastery_forget_stages, public.mastery_held,
  public.mastery_holders, public.mastery_import_concepts, public.mastery_items,
  public.mastery_keep_stage,
  public.mastery_learners, public.mastery_load, public.mastery_log_page, public.mastery_logs, public.mastery_mapped_tenants,
  public.mastery_outdated, public.mastery_parameters, public.mastery_predictions,
  public.mastery_registered, public.mastery_rewrite, public.mastery_seal, public.mastery_seal_page, public.mastery_stages,
  public.mastery_store_parameters, public.mastery_told, public.mastery_untold,
  public.mastery_values;
drop schema mastery cascade;
notify pgrst, 'reload schema';
