-- Takes back 20261121090000_mastery_ledger.sql, with all that was recorded. The roles stay: others use them.
drop table public.practice_sessions, public.student_ability, public.concept_mastery,
  public.student_responses;
drop schema mastery cascade;
