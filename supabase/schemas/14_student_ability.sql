-- Ability: the state of each learner on each scale.
--
-- Columns that only calibrated parameters fill are null under the built-in ones.

create table public.student_ability (
  tenant_id text collate "C" not null,
  student_id text collate "C" not null,
  scale text collate "C" not null,
  theta float8 not null,
  standard_error float8 not null check (standard_error >= 0),
  responses int not null check (responses > 0),
  version bigint not null,
  parameters_version int not null,
  score float8 not null check (score >= 0),
  checksum bigint,
  variance float8 check (variance > 0),
  surprise float8,
  surprise_variance float8 check (surprise_variance >= 0),
  primary key (tenant_id, student_id, scale)
) with (fillfactor = 80);
comment on column public.student_ability.score is 'Sum of the scores of these responses.';
comment on column public.student_ability.variance is
  'Posterior variance of theta on a calibrated scale. Null: not calibrated.';
comment on column public.student_ability.surprise is
  'Log likelihood of all answers on a calibrated scale minus its expectation under the predictions, '
  'nats. Null: not calibrated.';
comment on column public.student_ability.surprise_variance is
  'Variance of surprise, nats squared. Null: not calibrated.';

alter table public.student_ability enable row level security;
create policy own_rows on public.student_ability for select to authenticated using (
  student_id = (select mastery.claimed_student()) and tenant_id = (select mastery.claimed_tenant()));
revoke all on public.student_ability from public, anon, authenticated;
grant select on public.student_ability to authenticated;
grant all on public.student_ability to service_role;

-- A row without calibrated columns has the checksum of its other columns alone.
create function mastery.ability_checksum(
  tenant_id text, student_id text, scale text, theta float8, standard_error float8, responses int,
  version bigint, parameters_version int, score float8, variance float8, surprise float8,
  surprise_variance float8) returns bigint
language sql immutable parallel safe
return case
  when variance is null and surprise is null and surprise_variance is null
  then pg_catalog.hash_record_extended(
    row(tenant_id, student_id, scale, theta, standard_error, responses, version,
        parameters_version, score), 0)
  else pg_catalog.hash_record_extended(
    row(tenant_id, student_id, scale, theta, standard_error, responses, version,
        parameters_version, score, variance, surprise, surprise_variance), 0)
end;

revoke execute on function mastery.ability_checksum from public, anon, authenticated;
grant execute on function mastery.ability_checksum to service_role;
