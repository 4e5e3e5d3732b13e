-- Mastery: the state of each learner on each concept.
--
-- Columns that only calibrated parameters fill are null under the built-in ones.

create table public.concept_mastery (
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  concept_id text collate "C" not null,
  mastery float8 not null check (mastery between 0 and 1),
  attempts int not null check (attempts > 0),
  mastered boolean not null,
  answered_at timestamptz not null,
  version bigint not null,
  parameters_version int not null,
  odds_mantissa float8 not null check (odds_mantissa >= 0.5 and odds_mantissa < 1),
  odds_exponent int not null,
  checksum bigint,
  deviation float8,
  deviation_variance float8 check (deviation_variance >= 0),
  gradient float8[],
  recent float8,
  lasting float8,
  mastery_low float8 check (mastery_low between 0 and 1),
  mastery_high float8 check (mastery_high between 0 and 1),
  primary key (tenant_id, student_id, concept_id)
) with (fillfactor = 80);
comment on column public.concept_mastery.odds_mantissa is
  'P(known) / P(unknown) = odds_mantissa * 2 ^ odds_exponent: mastery without loss of precision.';
comment on column public.concept_mastery.deviation is
  'Ability on the concept minus ability on its scale: posterior mean, logits. Null: 0.';
comment on column public.concept_mastery.deviation_variance is 'Posterior variance of deviation. Null: 0.';
comment on column public.concept_mastery.gradient is
  'Derivative of the log odds of mastery by each parameter of the concept. Null: the uncertainty '
  'of the parameters is not known.';
comment on column public.concept_mastery.recent is
  'Sum of (score - 0.5) over the answers on the concept, each with half the weight of the next '
  'one. Null: 0.';
comment on column public.concept_mastery.lasting is
  'The same sum, each with 0.85 of the weight of the next one. Null: 0.';
comment on column public.concept_mastery.mastery_low is
  'Lower end of the 95 % credible interval of mastery. Null: not known.';
comment on column public.concept_mastery.mastery_high is
  'Upper end of the 95 % credible interval of mastery. Null: not known.';

alter table public.concept_mastery enable row level security;
create policy own_rows on public.concept_mastery for select to authenticated using (
  student_id = (select mastery.claimed_student()) and tenant_id = (select mastery.claimed_tenant()));
revoke all on public.concept_mastery from public, anon, authenticated;
grant select on public.concept_mastery to authenticated;
grant all on public.concept_mastery to service_role;

-- Supabase's realtime sends changes of a student's mastery to the student.
do $$
begin
  if exists (select from pg_publication where pubname = 'supabase_realtime') then
    alter publication supabase_realtime add table public.concept_mastery;
  end if;
end $$;

-- A row without calibrated columns has the checksum of its other columns alone.
create function mastery.concept_checksum(
  tenant_id text, student_id text, concept_id text, mastery float8, attempts int,
  mastered boolean, answered_at timestamptz, version bigint, parameters_version int,
  odds_mantissa float8, odds_exponent int, deviation float8, deviation_variance float8,
  gradient float8[], recent float8, lasting float8, mastery_low float8, mastery_high float8)
returns bigint
language sql immutable parallel safe
return case
  when deviation is null and deviation_variance is null and gradient is null
       and recent is null and lasting is null and mastery_low is null and mastery_high is null
  then pg_catalog.hash_record_extended(
    row(tenant_id, student_id, concept_id, mastery, attempts, mastered, answered_at, version,
        parameters_version, odds_mantissa, odds_exponent), 0)
  else pg_catalog.hash_record_extended(
    row(tenant_id, student_id, concept_id, mastery, attempts, mastered, answered_at, version,
        parameters_version, odds_mantissa, odds_exponent, deviation, deviation_variance, gradient,
        recent, lasting, mastery_low, mastery_high), 0)
end;

revoke execute on function mastery.concept_checksum from public, anon, authenticated;
grant execute on function mastery.concept_checksum to service_role;
